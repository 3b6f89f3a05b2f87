"""CCC-wav2vec 2.0."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse.distributed import gather, world_size
from ipse.methods.pretrain.wav2vec2 import Hidden, Wav2Vec2
from ipse.models import Encoder
from ipse.models.kmeans import assign, kmeans
from ipse.training import Batch, Step
from ipse.transforms import Look, Sees

_ALIGNED = {"crop": (1.0, 1.0), "speed": (1.0, 1.0), "gain": (0.0, 0.0), "band_stop": 0.0, "mask_time": 0.0}

CleanAndNoisy = Sees((Look("none"), Look(changes=_ALIGNED | {"noise": 0.6, "reverb": 0.7, "mix": 0.8, "mix_snr": (0.0, 15.0)})))
"""A clip as it is, and the same clip in a noisy room: frame by frame the same content."""


class CCCWav2Vec2(Wav2Vec2):
    """wav2vec 2.0 across a clean and a noisy copy of each clip, with negatives of the target's own cluster weakened.

        L = InfoNCE(c, q) + noisy_targets InfoNCE(c, q') + noisy_context InfoNCE(c', q) + regularisers of the clean copy

    c, q: context and codes of the clean copy, c', q' of the noisy one, with the same frames hidden. All codes of the batch are
    clustered by angle, one cluster for every `cluster_factor` hidden frames of a clip; a negative in the cluster of its positive
    has its logit multiplied by `scale`.

    Lodagala, Ghosh & Umesh, SLT 2022, arXiv:2210.02592
    """

    sees = CleanAndNoisy

    def __init__(
        self,
        encoder: Encoder,
        *,
        noisy_targets: float = 0.5,
        noisy_context: float = 0.5,
        cluster_factor: int = 16,
        scale: float = 0.3,
        masked: float = 0.65,
        span: int = 10,
        groups: int = 2,
        entries: int = 320,
        width: int = 256,
        negatives: int = 100,
        temperature: float = 0.1,
        diversity_weight: float = 0.1,
        penalty: float = 10.0,
        feature_gradient: float = 0.1,
    ):
        super().__init__(
            encoder,
            masked=masked,
            span=span,
            groups=groups,
            entries=entries,
            width=width,
            negatives=negatives,
            temperature=temperature,
            diversity_weight=diversity_weight,
            penalty=penalty,
            feature_gradient=feature_gradient,
        )
        self.noisy_targets, self.noisy_context = noisy_targets, noisy_context
        self.cluster_factor, self.scale = cluster_factor, scale

    def loss(self, batch: Batch) -> Step:
        clean, noisy = (self.local(x) for x in batch)
        hidden = self.hide(batch, clean.valid)
        h = self.context(clean, hidden)
        c, c_noisy = (self.predictor(hidden.of(x)) for x in (h, self.context(noisy, hidden)))
        codes, q = self.quantise(batch, clean, hidden)
        _, q_noisy = self.quantise(batch, noisy, hidden, "noisy")
        others, others_noisy = self.others(batch, hidden), self.others(batch, hidden, "noisy")
        cluster, cluster_noisy = clusters(batch, (q, q_noisy), hidden, self.cluster_factor)
        same, same_noisy = together(cluster, others), together(cluster_noisy, others_noisy)
        terms = {
            "contrast": self.contrast(c, q, others, hidden, same, self.scale),
            "noisy targets": self.noisy_targets * self.contrast(c, q_noisy, others_noisy, hidden, same_noisy, self.scale),
            "noisy context": self.noisy_context * self.contrast(c_noisy, q, others, hidden, same, self.scale),
        }
        return self.step(terms, h, clean, codes, hidden)


@torch.no_grad()
def clusters(batch: Batch, targets: tuple[Tensor, ...], hidden: Hidden, factor: int) -> list[Tensor]:
    """In which cluster each target (B, M, width) of several views is: int64 (B, M) per view, without meaning where none is.

    All targets of the global batch are clustered by cosine k-means, in the order of the samples' positions; of M hidden frames
    per clip and view, on average, there are max(2, M // factor) clusters.
    """
    b, n = hidden.mask.shape
    spread = []  # over all frames, NaN where nothing is hidden: of one shape on all processes
    for q in targets:
        rows = F.normalize(q.float(), dim=-1).masked_fill(~hidden.there[..., None], torch.nan)
        place = hidden.positions[..., None].expand_as(rows)
        spread.append(rows.new_full((b, n, q.shape[2]), torch.nan).scatter(1, place, rows))
    every = gather(torch.stack(spread, dim=1))[gather(batch.position).argsort()]
    rows = every[~every.isnan().any(dim=-1)]
    if not len(rows):
        return [torch.zeros_like(hidden.positions) for _ in targets]
    per_clip = len(rows) // (len(targets) * b * world_size())
    centers = kmeans(rows, max(2, per_clip // factor), cosine=True)
    return [assign(q.float().flatten(0, 1), centers, cosine=True).view(hidden.positions.shape) for q in targets]


def together(cluster: Tensor, others: Tensor) -> Tensor:
    """Which of the others (B, M, K) are in the cluster (B, M) of the frame they are contrasted with: bool (B, M, K)."""
    return cluster[..., None] == cluster.gather(1, others.flatten(1)).view_as(others)
