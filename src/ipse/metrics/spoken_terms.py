"""Spoken queries looked for in recordings, with nothing trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ipse.data import Samples
from ipse.errors import UserError
from ipse.metrics.layers import states
from ipse.metrics.recognition import query_by_example
from ipse.models.speech import FrameEncoder


def spoken_terms(
    encoder: FrameEncoder, samples: Samples, layers: Sequence[int] = (), *, queries: int = 20, documents: int = 100
) -> list[float]:
    """How well recordings of a spoken query are found by dynamic time warping of each layer: maximum term-weighted values.

    One sample of each label, of at most `queries` labels, is looked for in at most `documents` others. Frames are standardized
    over all of them, the scores over those of each query. layers: which ones, () for all. Raises UserError where no label has two
    samples.

    Yang et al., Interspeech 2021, arXiv:2105.01051
    """
    label = torch.as_tensor(samples.y)
    known = (label >= 0).nonzero()[:, 0]
    several = [each for each in label[known].unique() if (label == each).sum() > 1]
    if not several:
        raise UserError("spoken queries need labels with at least two samples each, and no label has two")
    first = _spread(torch.stack([(label == each).nonzero()[0, 0] for each in several]), queries)
    rest = _spread(known[~torch.isin(known, first)], documents)
    part = samples.subset(torch.cat([first, rest]))
    clips = [clip[inside] for x, valid in states(encoder, part) for clip, inside in zip(x, valid, strict=True)]
    relevant = label[first, None] == label[rest]
    return [_found([clip[:, i] for clip in clips], relevant) for i in layers or range(clips[0].shape[1])]


def _found(clips: Sequence[Tensor], relevant: Tensor) -> float:
    """The value of Q queries, the first of the clips (T, D), looked for in the others; relevant: bool (Q, N)."""
    every = torch.cat(list(clips))
    mean, scale = every.mean(dim=0), every.std(dim=0, correction=0).clamp_min(1e-6)
    clips = [(clip - mean) / scale for clip in clips]
    queries, documents = clips[: len(relevant)], clips[len(relevant) :]
    scores = torch.tensor([[-query_by_example(query, document) for document in documents] for query in queries])
    scores = (scores - scores.mean(dim=1, keepdim=True)) / scores.std(dim=1, correction=0, keepdim=True).clamp_min(1e-9)
    return term_weighted_value(scores, relevant)


def _spread(rows: Tensor, most: int) -> Tensor:
    """At most so many of the rows, evenly spread."""
    return rows[torch.linspace(0, len(rows) - 1, min(most, len(rows))).long()]


def term_weighted_value(scores: Tensor, relevant: Tensor, beta: float = 12.49) -> float:
    """The largest, over thresholds, of  1 - mean over terms of (share missed + beta share falsely found): 1 at best, 0 for silence.

    `scores`: (Q, N); `relevant`: bool (Q, N). Terms that are nowhere do not count. beta: what a false find costs, in missed
    ones: 1 / 100 of what a miss does, and terms are in 8 of 10,000 places (QUESST 2014).

    >>> term_weighted_value(torch.tensor([[0.9, 0.8, 0.1]]), torch.tensor([[True, True, False]]))
    1.0
    """
    there = relevant.any(dim=1)
    scores, relevant = scores[there], relevant[there]
    hits, others = relevant.sum(dim=1).double(), (~relevant).sum(dim=1).double().clamp_min(1)
    values = [0.0]
    for threshold in scores.unique():
        found = scores >= threshold
        missed = 1 - (found & relevant).sum(dim=1) / hits
        values.append(1 - (missed + beta * (found & ~relevant).sum(dim=1) / others).mean().item())
    return max(values)
