"""The protocol of methods and the one loop that drives them."""

from ipse.training.feed import Feed
from ipse.training.loop import Plan, fit
from ipse.training.method import Batch, Method, Recipe, Step

__all__ = ["Batch", "Feed", "Method", "Plan", "Recipe", "Step", "fit"]
