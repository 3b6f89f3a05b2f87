"""How views are made: batched, on the device of the data, with the geometry of each view kept."""

from ipse.transforms.image import ImagePolicy
from ipse.transforms.kinds import viewer
from ipse.transforms.policy import Policy
from ipse.transforms.sees import InPlace, Look, Masked, MultiCrop, Original, SameGroup, Sees, TwoViews, Views, Weak, WeakStrong
from ipse.transforms.view import View
from ipse.transforms.viewer import Viewer

__all__ = [
    "ImagePolicy",
    "InPlace",
    "Look",
    "Masked",
    "MultiCrop",
    "Original",
    "Policy",
    "SameGroup",
    "Sees",
    "TwoViews",
    "View",
    "Viewer",
    "Views",
    "Weak",
    "WeakStrong",
    "viewer",
]
