"""Objectives as pure functions: tensors in, scalar out.

Half-precision embeddings are promoted to fp32 and autocast is suspended inside a loss; float64 stays float64. A mean over
processes of the returned values is the loss of the global batch, and so is the mean of the gradients that a data-parallel
wrapper takes.
"""

from ipse.losses.alignment import byol
from ipse.losses.contrastive import coupling, decoupled, info_nce, moco_contrast, nt_xent
from ipse.losses.hierarchical import hierarchical_contrast
from ipse.losses.instance import index_cross_entropy
from ipse.losses.margin import additive_margin_nt_xent
from ipse.losses.masked import masked_mse, masked_series_mse
from ipse.losses.predictive import aligned_prediction, future_l1
from ipse.losses.redundancy import barlow_twins
from ipse.losses.sdsc import sdsc_loss
from ipse.losses.series import candidate_contrast, instance_contrast, multi_device_contrast
from ipse.losses.spread import koleo
from ipse.losses.units import codeword_cross_entropy, diversity
from ipse.losses.wav2vec import frame_contrast, same_utterance, sampled_info_nce
from ipse.losses.whitening import w_mse, whiten

__all__ = [
    "additive_margin_nt_xent",
    "aligned_prediction",
    "barlow_twins",
    "byol",
    "candidate_contrast",
    "codeword_cross_entropy",
    "coupling",
    "decoupled",
    "diversity",
    "frame_contrast",
    "future_l1",
    "hierarchical_contrast",
    "index_cross_entropy",
    "info_nce",
    "instance_contrast",
    "koleo",
    "masked_mse",
    "masked_series_mse",
    "moco_contrast",
    "multi_device_contrast",
    "nt_xent",
    "same_utterance",
    "sampled_info_nce",
    "sdsc_loss",
    "w_mse",
    "whiten",
]
