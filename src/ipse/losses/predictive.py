"""Losses of models that predict the frames to come."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ipse.errors import UserError
from ipse.losses.means import mean_where
from ipse.losses.precision import full_precision


@full_precision
def future_l1(prediction: Tensor, target: Tensor, steps: int, valid: Tensor | None = None) -> Tensor:
    """Predicts the frame that comes `steps` later (autoregressive predictive coding).

        L = mean over frames t and features of  | y_t - x_{t + steps} |

    `prediction`: y, (B, N, D); `target`: x, (B, N, D), not shifted; `valid`: bool (B, N), False for padding: a pair counts
    where both its frames do. The mean is over the pairs of all processes, 0 where there is none.

    Raises UserError if `steps` is below 1.

    Chung, Tang & Glass, Interspeech 2020, arXiv:2005.08392

    >>> x = torch.tensor([[[1.0], [2.0], [4.0]]])
    >>> future_l1(x, x, steps=1).item()  # (1 + 2) / 2
    1.5
    """
    if steps < 1:
        raise UserError(f"prediction of the future needs at least 1 step, given {steps}")
    error = (prediction[:, :-steps] - target[:, steps:]).abs().mean(dim=-1)
    return mean_where(error, None if valid is None else valid[:, :-steps] & valid[:, steps:])


@full_precision
def aligned_prediction(scores_positive: Tensor, scores_negative: Tensor, temperature: float = 1.0) -> Tensor:
    """Explains the next K frames by M <= K predictions in order, each for one frame or more (aligned CPC).

        S[k, m] = log sigmoid(a[k, m] - b[m]),    A[k, m] = S[k, m] + log(e^A[k-1, m] + e^A[k-1, m-1]),    L = -mean A[K, M]

    A[K, M] is the log-sum-exp over all monotone alignments of the sum of S along them; with M = K there is one, of frame k to
    prediction k. With a `temperature` it is temperature A(S / temperature), towards 0 the best alignment alone.

    `scores_positive`: a, (B, K, M), of B windows: how well prediction m fits frame k, e.g. their dot product over their width;
    `scores_negative`: b, (B, M), the log-sum-exp of prediction m's scores with the negatives. The mean is over the windows of
    all processes.

    Raises UserError if M > K.

    Chorowski et al., Interspeech 2021, arXiv:2104.11946

    One prediction for two frames, each as good as a single negative:

    >>> round(aligned_prediction(torch.zeros(1, 2, 1), torch.zeros(1, 1)).item(), 4)  # 2 log 2
    1.3863
    """
    frames, predictions = scores_positive.shape[1:]
    if predictions > frames:
        raise UserError(f"aligned predictions need at least as many frames as predictions: {predictions} for {frames} frames")
    s = F.logsigmoid(scores_positive - scores_negative[:, None]) / temperature
    # Only the cells that an alignment reaches: with -inf in the others the gradient would be NaN.
    reached = s[:, 0, :1]
    for k in range(1, frames):
        both = torch.logaddexp(reached[:, 1:], reached[:, :-1])
        reached = torch.cat([reached[:, :1], both, reached[:, -1:]], dim=1)[:, :predictions]
        reached = reached + s[:, k, : reached.shape[1]]
    return -temperature * mean_where(reached[:, -1])
