"""Contrast over the steps of time series, at every scale."""

from __future__ import annotations

import torch
from torch import Tensor

from ipse.distributed import all_mean, gather
from ipse.losses.contrastive import _positions
from ipse.losses.precision import full_precision


@full_precision
def hierarchical_contrast(r1: Tensor, r2: Tensor, valid: Tensor | None = None, temporal: float = 0.5) -> Tensor:
    """Finds a step of a series in its other view, among other series and among other steps, at every scale of time (TS2Vec).

        L = mean over scales of  (1 - temporal) * L_instance + temporal * L_temporal
        L_instance = mean over anchors of  -log( exp(r_it . r'_it) / sum over the others at step t, of both views )
        L_temporal = mean over anchors of  -log( exp(r_it . r'_it) / sum over the other steps of series i, of both views )

    Both views' steps are anchors. From one scale to the next, pairs of steps are max-pooled until one is left; an odd last
    step is dropped. Of one step only the instance term remains, of one series only the temporal term.

    `r1`, `r2`: representations (B, T, D) of the same steps in two views, compared by dot products as they are; `valid`: bool
    (B, T), False where a step is padding or has no counterpart. The others of the instance term come from all processes.

    Yue et al., AAAI 2022, arXiv:2106.10466

    One series whose two steps are orthogonal, -log(e / (e + 2)), pooled to one step that has nothing to be told from:

    >>> r = torch.eye(2)[None]
    >>> round(hierarchical_contrast(r, r, temporal=1.0).item(), 4)  # 0.5514 / 2 scales
    0.2757
    """
    valid = torch.ones(r1.shape[:2], dtype=torch.bool, device=r1.device) if valid is None else valid
    r = torch.stack([r1, r2])
    losses = []
    while True:
        losses.append((1 - temporal) * _instance(r, valid) + temporal * _temporal(r, valid))
        if r.shape[2] == 1:
            return torch.stack(losses).mean()
        r, valid = _halve(r, valid)


def _instance(r: Tensor, valid: Tensor) -> Tensor:
    """`r`: (2, B, T, D), two views. Groups are steps, their members the series of all processes."""
    keys = torch.cat([gather(view) for view in r]).transpose(0, 1)  # (T, 2 global B, D)
    batch = keys.shape[1] // 2
    own = torch.cat([_positions(r[0]), _positions(r[1]) + batch])
    known = gather(valid.to(r.dtype)).T > 0
    return _find(torch.cat([*r]).transpose(0, 1), valid.T.repeat(1, 2), keys, known.repeat(1, 2), own)


def _temporal(r: Tensor, valid: Tensor) -> Tensor:
    """`r`: (2, B, T, D), two views. Groups are series, their members the steps."""
    z = torch.cat([*r], dim=1)
    both = valid.repeat(1, 2)
    return _find(z, both, z, both, torch.arange(z.shape[1], device=z.device))


def _find(anchors: Tensor, valid: Tensor, keys: Tensor, known: Tensor, own: Tensor) -> Tensor:
    """Mean over valid anchors (G, n, D) of the cross-entropy of their other views among keys (G, m, D), themselves left out.

    `own`: (n,), where the anchors stand among the keys; the other view of a key stands m / 2 further on.
    """
    n, m = len(own), keys.shape[1]
    logits = anchors @ keys.mT
    # The rows of invalid anchors stay whole, or they would be NaN.
    hidden = (valid[..., None] & ~known[:, None]) | (own[:, None] == torch.arange(m, device=own.device))
    logits = logits.masked_fill(hidden, -torch.inf)
    other = ((own + m // 2) % m)[None, :, None].expand(len(anchors), n, 1)
    loss = torch.where(valid, logits.logsumexp(dim=-1) - logits.gather(-1, other)[..., 0], 0).sum()
    return loss / all_mean(valid.sum().to(loss.dtype)).clamp_min(1)


def _halve(r: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The larger of every two steps, among those that are valid."""
    steps = r.shape[2] // 2
    pairs = r[:, :, : 2 * steps].unflatten(2, (steps, 2))
    both = valid[:, : 2 * steps].unflatten(1, (steps, 2))
    pooled = pairs.masked_fill(~both[None, ..., None], -torch.inf).amax(dim=3)
    valid = both.any(dim=2)
    return pooled.masked_fill(~valid[None, ..., None], 0), valid
