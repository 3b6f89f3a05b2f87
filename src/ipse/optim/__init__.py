"""Optimizers, the groups of parameters they treat differently, and learning-rate schedules."""

from ipse.optim.optimizers import OPTIMIZERS, build, parameter_groups, wanted_terms
from ipse.optim.schedules import Schedule

__all__ = ["OPTIMIZERS", "Schedule", "build", "parameter_groups", "wanted_terms"]
