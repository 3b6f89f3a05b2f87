"""CCC-wav2vec 2.0."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ipse.distributed import gather, world_size
from ipse.methods.pretrain.wav2vec2 import Candidates, Hidden, Local, Wav2Vec2
from ipse.models import Encoder
from ipse.models.kmeans import assign, kmeans
from ipse.models.quantiser import Quantised
from ipse.models.tokens import put_at
from ipse.training import Batch, Step
from ipse.transforms import InPlace, Look, Sees

CleanAndNoisy = Sees((Look("none"), InPlace(noise=0.6, reverb=0.7, mix=0.8, mix_snr=(0.0, 15.0))))
"""A clip as it is, and the same clip in a noisy room: frame by frame the same content."""


class CleanAndNoisyWav2Vec2(Wav2Vec2):
    """What methods share that contrast across both copies: the targets of each, negatives of a target's own cluster weakened.

    All codes of the batch are clustered by angle, one cluster for every `cluster_factor` hidden frames of a clip; a negative in
    the cluster of its positive has its logit multiplied by `scale`.
    """

    sees = CleanAndNoisy

    def __init__(self, encoder: Encoder, *, cluster_factor: int = 16, scale: float = 0.3, **others: Any):
        super().__init__(encoder, **others)
        self.cluster_factor, self.scale = cluster_factor, scale

    def candidates(self, batch: Batch, clean: Local, noisy: Local, hidden: Hidden) -> tuple[Quantised, Candidates, Candidates]:
        """The codes of the clean copy, and what hidden frames are to be found among, of the clean copy and of the noisy one."""
        codes, q = self.quantise(batch, clean, hidden)
        _, q_noisy = self.quantise(batch, noisy, hidden, "noisy")
        cluster, cluster_noisy = clusters(batch, (q, q_noisy), hidden, self.cluster_factor)
        return codes, self._among(batch, hidden, q, cluster), self._among(batch, hidden, q_noisy, cluster_noisy, "noisy")

    def _among(self, batch: Batch, hidden: Hidden, targets: Tensor, cluster: Tensor, name: str = "") -> Candidates:
        others = self.others(batch, hidden, name)
        return Candidates(targets, others, hidden.there, together(cluster, others), self.scale)


class CCCWav2Vec2(CleanAndNoisyWav2Vec2):
    """wav2vec 2.0 across a clean and a noisy copy of each clip, with negatives of the target's own cluster weakened.

        L = InfoNCE(c, q) + noisy_targets InfoNCE(c, q') + noisy_context InfoNCE(c', q) + regularisers of the clean copy

    c, q: context and codes of the clean copy, c', q' of the noisy one, with the same frames hidden.

    Lodagala, Ghosh & Umesh, SLT 2022, arXiv:2210.02592
    """

    def __init__(self, encoder: Encoder, *, noisy_targets: float = 0.5, noisy_context: float = 0.5, **others: Any):
        super().__init__(encoder, **others)
        self.noisy_targets, self.noisy_context = noisy_targets, noisy_context

    def loss(self, batch: Batch) -> Step:
        clean, noisy = (self.local(x) for x in batch)
        hidden = self.hide(batch, clean.valid)
        h = self.context(clean, hidden)
        c, c_noisy = (self.predictor(hidden.of(x)) for x in (h, self.context(noisy, hidden)))
        codes, of_clean, of_noisy = self.candidates(batch, clean, noisy, hidden)
        terms = {
            "contrast": self.contrast(c, of_clean),
            "noisy targets": self.noisy_targets * self.contrast(c, of_noisy),
            "noisy context": self.noisy_context * self.contrast(c_noisy, of_clean),
        }
        return self.step(terms, h, clean, codes, hidden)


@torch.no_grad()
def clusters(batch: Batch, targets: tuple[Tensor, ...], hidden: Hidden, factor: int) -> list[Tensor]:
    """In which cluster each target (B, M, width) of several views is: int64 (B, M) per view, without meaning where none is.

    All targets of the global batch are clustered by cosine k-means, in the order of the samples' positions; of M hidden frames
    per clip and view, on average, there are max(2, M // factor) clusters.
    """
    b, n = hidden.mask.shape
    nothing = torch.full((b, n, targets[0].shape[2]), torch.nan, device=hidden.mask.device)
    # Over all frames, NaN where nothing is hidden: of one shape on all processes.
    spread = [put_at(nothing, F.normalize(q.float(), dim=-1), hidden.positions, hidden.there) for q in targets]
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
