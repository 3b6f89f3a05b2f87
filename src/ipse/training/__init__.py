"""The protocol of methods and the one loop that drives them."""

from ipse.training.descent import Player, descend, patches, seeded
from ipse.training.feed import Feed
from ipse.training.loop import Observer, Plan, fit
from ipse.training.method import Batch, Method, Recipe, Step, Taught
from ipse.training.terms import backward
from ipse.training.virtual import virtually

__all__ = [
    "Batch",
    "Feed",
    "Method",
    "Observer",
    "Plan",
    "Player",
    "Recipe",
    "Step",
    "Taught",
    "backward",
    "descend",
    "fit",
    "patches",
    "seeded",
    "virtually",
]
