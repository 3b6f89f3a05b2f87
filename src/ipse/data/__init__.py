"""Sources of data, and one decoded copy of it that batches are gathered from."""

from ipse.data.holdout import holdout
from ipse.data.images import Images
from ipse.data.opening import Data, open_data
from ipse.data.store import Skipped

__all__ = ["Data", "Images", "Skipped", "holdout", "open_data"]
