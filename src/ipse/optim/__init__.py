"""Optimizers, the groups of parameters they treat differently, and learning-rate schedules."""

from ipse.optim.optimizers import build, known, parameter_groups
from ipse.optim.schedules import Schedule

__all__ = ["Schedule", "build", "known", "parameter_groups"]
