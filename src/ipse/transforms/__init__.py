"""How views are made: batched, on the device of the data, with the geometry of each view kept."""

from ipse.transforms.image import Policy, make_view, original
from ipse.transforms.sees import Look, Masked, MultiCrop, Original, Sees, TwoViews, Views, WeakStrong
from ipse.transforms.view import View

__all__ = [
    "Look",
    "Masked",
    "MultiCrop",
    "Original",
    "Policy",
    "Sees",
    "TwoViews",
    "View",
    "Views",
    "WeakStrong",
    "make_view",
    "original",
]
