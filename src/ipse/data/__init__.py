"""Sources of data, and one decoded copy of it that batches are gathered from."""

from ipse.data import form
from ipse.data.form import Form
from ipse.data.holdout import holdout
from ipse.data.images import Images
from ipse.data.opening import Data, open_data
from ipse.data.samples import Raw, Samples
from ipse.data.store import Skipped

__all__ = ["Data", "Form", "Images", "Raw", "Samples", "Skipped", "form", "holdout", "open_data"]
