"""What watches a run: logs, progress, and numbers taken on the way."""

from ipse.callbacks.log import JsonLog, TensorBoardLog, read_history
from ipse.callbacks.progress import Progress
from ipse.callbacks.watch import Watch

__all__ = ["JsonLog", "Progress", "TensorBoardLog", "Watch", "read_history"]
