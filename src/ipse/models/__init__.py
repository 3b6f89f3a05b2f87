"""Encoders, heads and teachers."""

from ipse.models.build import create, known, usual, usual_size
from ipse.models.classifier import Classifier
from ipse.models.disk import load, load_classifier, save, save_classifier, write_tensors
from ipse.models.ema import EMA, frozen_copy
from ipse.models.encoder import Encoder
from ipse.models.frozen import Frozen
from ipse.models.heads import mlp, prototypes
from ipse.models.norm import BatchNorm, synchronised
from ipse.models.regressor import Regressor
from ipse.models.segmenter import Segmenter

__all__ = [
    "EMA",
    "BatchNorm",
    "Classifier",
    "Encoder",
    "Frozen",
    "Regressor",
    "Segmenter",
    "create",
    "frozen_copy",
    "known",
    "load",
    "load_classifier",
    "mlp",
    "prototypes",
    "save",
    "save_classifier",
    "synchronised",
    "usual",
    "usual_size",
    "write_tensors",
]
