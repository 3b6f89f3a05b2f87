"""Objectives as pure functions: tensors in, scalar out.

Half-precision embeddings are promoted to fp32 and autocast is suspended inside a loss; float64 stays float64. A mean over
processes of the returned values is the loss of the global batch, and so is the mean of the gradients that a data-parallel
wrapper takes.
"""

from ipse.losses.agreement import classwise_t_similarity, t_similarity
from ipse.losses.alignment import byol
from ipse.losses.contrastive import coupling, decoupled, info_nce, moco_contrast, nt_xent
from ipse.losses.distillation import (
    binary_kl,
    normalized_distillation,
    others_cross_entropy,
    self_target,
    softened_kl,
    zipf_labels,
)
from ipse.losses.doubly_robust import doubly_robust, doubly_robust_mean
from ipse.losses.hierarchical import hierarchical_contrast
from ipse.losses.instance import index_cross_entropy
from ipse.losses.margin import additive_margin_nt_xent
from ipse.losses.masked import masked_mse, masked_series_mse
from ipse.losses.predictive import aligned_prediction, future_l1
from ipse.losses.pseudo_labels import confident_consistency, labelled, pseudo_labels, sharpened_consistency
from ipse.losses.redundancy import barlow_twins
from ipse.losses.sdsc import sdsc_loss
from ipse.losses.series import candidate_contrast, instance_contrast, multi_device_contrast
from ipse.losses.spread import koleo
from ipse.losses.test_time import (
    entropy,
    matched_contrast,
    negative_marginal_entropy,
    reversed_cross_entropy,
    robust_pseudo_label,
    symmetric_cross_entropy,
)
from ipse.losses.units import codeword_cross_entropy, diversity
from ipse.losses.wav2vec import frame_contrast, same_utterance, sampled_info_nce
from ipse.losses.whitening import w_mse, whiten

__all__ = [
    "additive_margin_nt_xent",
    "aligned_prediction",
    "barlow_twins",
    "binary_kl",
    "byol",
    "candidate_contrast",
    "classwise_t_similarity",
    "codeword_cross_entropy",
    "confident_consistency",
    "coupling",
    "decoupled",
    "diversity",
    "doubly_robust",
    "doubly_robust_mean",
    "entropy",
    "frame_contrast",
    "future_l1",
    "hierarchical_contrast",
    "index_cross_entropy",
    "info_nce",
    "instance_contrast",
    "koleo",
    "labelled",
    "masked_mse",
    "masked_series_mse",
    "matched_contrast",
    "moco_contrast",
    "multi_device_contrast",
    "negative_marginal_entropy",
    "normalized_distillation",
    "nt_xent",
    "others_cross_entropy",
    "pseudo_labels",
    "reversed_cross_entropy",
    "robust_pseudo_label",
    "same_utterance",
    "sampled_info_nce",
    "sdsc_loss",
    "self_target",
    "sharpened_consistency",
    "softened_kl",
    "symmetric_cross_entropy",
    "t_similarity",
    "w_mse",
    "whiten",
    "zipf_labels",
]
