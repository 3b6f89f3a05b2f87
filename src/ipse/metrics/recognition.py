"""How well speech is recognised: transcripts, speakers, spoken queries, and one number for many tasks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.errors import UserError


def edit_distance(hypothesis: Sequence[Hashable], reference: Sequence[Hashable]) -> int:
    """The smallest number of insertions, deletions and substitutions that turn one sequence into the other.

    >>> edit_distance("kitten", "sitting"), edit_distance("a b".split(), "b".split())
    (3, 1)
    """
    number: dict[Hashable, int] = {}
    a, b = (np.array([number.setdefault(each, len(number)) for each in s], dtype=np.int64) for s in (hypothesis, reference))
    steps = np.arange(len(b) + 1)
    row = steps
    for each in a:
        best = row + 1
        best[1:] = np.minimum(best[1:], row[:-1] + (b != each))
        # Insertions along the row: the cheapest of all places to come from.
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def error_rate(hypotheses: Sequence[Sequence[Hashable]], references: Sequence[Sequence[Hashable]]) -> float:
    """All edits over the length of all references: of strings the character error rate, of lists of words or phones theirs.

    It exceeds 1 where much is inserted. Raises UserError if the numbers of transcripts differ or all references are empty.

    >>> error_rate(["cat", "dog"], ["cut", "dog"])  # 1 of 6 characters
    0.16666666666666666
    """
    if len(hypotheses) != len(references):
        raise UserError(f"the error rate needs a reference for each transcript: given {len(references)} for {len(hypotheses)}")
    length = sum(map(len, references))
    if not length:
        raise UserError(f"the error rate needs references that are not empty, given {len(references)} empty ones")
    return sum(map(edit_distance, hypotheses, references)) / length


def equal_error_rate(scores: Tensor, same: Tensor) -> float:
    """The error of verification at the threshold where false acceptances are as frequent as false rejections.

    Pairs are accepted from the highest score down, pairs of one score together; between two thresholds both rates are
    interpolated. It depends on the order of the scores only.

    `scores`: (N,), high for the same speaker; `same`: bool (N,). Raises UserError unless there are pairs of both kinds.

    >>> equal_error_rate(torch.tensor([0.9, 0.8, 0.3, 0.1]), torch.tensor([True, False, True, False]))
    0.5
    """
    same = same.cpu().bool()
    if same.all() or not same.any():
        raise UserError(
            f"the equal error rate needs pairs of one speaker and of two: given {int(same.sum())} and {int((~same).sum())}"
        )
    _, place = (-scores.cpu().double()).unique(return_inverse=True)
    accepted = [torch.bincount(place[kind], minlength=int(place.max()) + 1).cumsum(0).double() for kind in (same, ~same)]
    rejected = torch.cat([torch.ones(1).double(), 1 - accepted[0] / accepted[0][-1]])
    false = torch.cat([torch.zeros(1).double(), accepted[1] / accepted[1][-1]])
    last = int((rejected >= false).nonzero()[-1])
    gap = (rejected - false)[last : last + 2]
    share = gap[0] / (gap[0] - gap[1])
    return torch.lerp(false[last], false[last + 1], share).item()


def superb_score(
    scores: Mapping[str, Mapping[str, float]],
    baseline: Mapping[str, Mapping[str, float]],
    best: Mapping[str, Mapping[str, float]],
) -> float:
    """One number for many tasks: 0 for the baseline (filter banks), 1000 for the best that is known.

        1000 mean over tasks of the mean over the task's metrics of (s - s_baseline) / (s_best - s_baseline)

    `scores`, `baseline`, `best`: metrics by name, by task; errors and accuracies alike. All metrics of `scores` count.

    Raises UserError if a metric is missing from a reference, or cannot be placed because both references are equal.

    Feng et al., SLT 2022, arXiv:2210.08634

    >>> superb_score({"speaker": {"eer": 6.0}}, {"speaker": {"eer": 10.0}}, {"speaker": {"eer": 5.0}})
    800.0
    """
    return 1000 * float(np.mean([np.mean([_placed(scores, baseline, best, t, m) for m in scores[t]]) for t in scores]))


def _placed(
    scores: Mapping[str, Mapping[str, float]],
    baseline: Mapping[str, Mapping[str, float]],
    best: Mapping[str, Mapping[str, float]],
    task: str,
    metric: str,
) -> float:
    """Where a score stands between that of the baseline, 0, and the best, 1."""
    try:
        low, high = baseline[task][metric], best[task][metric]
    except KeyError:
        raise UserError(f"the SUPERB score needs {task!r} {metric!r} of the baseline and of the best") from None
    if low == high:
        raise UserError(f"the SUPERB score cannot place {task!r} {metric!r}: baseline and best are both {low}")
    return (scores[task][metric] - low) / (high - low)


@torch.no_grad()
def query_by_example(query: Tensor, document: Tensor) -> float:
    """How far a spoken query is from the stretch of a document that fits it best, by dynamic time warping: 0 for a copy.

        D[i, j] = d[i, j] + min(D[i-1, j], D[i-1, j-1], D[i-1, j-2]),    distance = min_j D[Q, j] / Q

    d = exp(1 - cosine similarity) - 1, of each query frame scaled to [0, 1] over the document. The stretch may begin and end
    anywhere, at most twice as long as the query. Features should be standardized over all recordings first.

    `query`: (Q, D); `document`: (N, D), neither empty.

    Yang et al., Interspeech 2021, arXiv:2105.01051

    >>> query_by_example(torch.eye(4)[1:3], torch.eye(4))
    0.0
    """
    cosine = F.normalize(query.double(), dim=1) @ F.normalize(document.double(), dim=1).T
    d = torch.exp(1 - cosine) - 1
    low, high = d.amin(dim=1, keepdim=True), d.amax(dim=1, keepdim=True)
    d = (d - low) / (high - low).clamp_min(1e-9)
    cost = d[0]
    for row in d[1:]:
        reached = F.pad(cost, (2, 0), value=torch.inf)
        cost = row + torch.stack([reached[2:], reached[1:-1], reached[:-2]]).amin(dim=0)
    return cost.min().item() / len(query)
