"""Encoders, heads and teachers."""

from ipse.models.ema import EMA, frozen_copy
from ipse.models.encoder import Encoder, create, known, load, save, usual_size
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
    "usual_size",
]
