"""The protocol of the methods that fit a trained classifier to data that has shifted, and what they are built from."""

from ipse.methods.adapt.adapter import Adapter, Resets
from ipse.methods.adapt.guard import Guarded

__all__ = ["Adapter", "Guarded", "Resets"]
