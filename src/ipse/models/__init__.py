"""Encoders, heads and teachers."""

from ipse.models.build import create, known, usual, usual_size
from ipse.models.disk import load, save, write_tensors
from ipse.models.ema import EMA, frozen_copy
from ipse.models.encoder import Encoder
from ipse.models.heads import mlp, prototypes
from ipse.models.norm import BatchNorm, synchronised

__all__ = [
    "EMA",
    "BatchNorm",
    "Encoder",
    "create",
    "frozen_copy",
    "known",
    "load",
    "mlp",
    "prototypes",
    "save",
    "synchronised",
    "usual",
    "usual_size",
    "write_tensors",
]
