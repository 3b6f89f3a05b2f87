"""How views are made: batched, on the device of the data, with the geometry of each view kept."""

from ipse.transforms.image import ImagePolicy
from ipse.transforms.kinds import viewer
from ipse.transforms.policy import Policy
from ipse.transforms.sees import Look, Masked, MultiCrop, Original, Pairs, Sees, TwoViews, Views, WeakStrong
from ipse.transforms.view import View
from ipse.transforms.viewer import Viewer

__all__ = [
    "ImagePolicy",
    "Look",
    "Masked",
    "MultiCrop",
    "Original",
    "Pairs",
    "Policy",
    "Sees",
    "TwoViews",
    "View",
    "Viewer",
    "Views",
    "WeakStrong",
    "viewer",
]
