"""Objectives as pure functions: tensors in, scalar out.

Half-precision embeddings are promoted to fp32 and autocast is suspended inside a loss; float64 stays float64. A mean over
processes of the returned values is the loss of the global batch, and so is the mean of the gradients that a data-parallel
wrapper takes.
"""

from ipse.losses.alignment import byol
from ipse.losses.contrastive import coupling, decoupled, info_nce, moco_contrast, nt_xent
from ipse.losses.instance import index_cross_entropy
from ipse.losses.masked import masked_mse
from ipse.losses.redundancy import barlow_twins
from ipse.losses.whitening import w_mse, whiten

__all__ = [
    "barlow_twins",
    "byol",
    "coupling",
    "decoupled",
    "index_cross_entropy",
    "info_nce",
    "masked_mse",
    "moco_contrast",
    "nt_xent",
    "w_mse",
    "whiten",
]
