from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from tests.methods.kinds import samples
from torch import Tensor
from torch.nn import functional as F

from ipse.errors import UserError
from ipse.losses.predictive import aligned_prediction
from ipse.methods.pretrain.aligned_cpc import AlignedCPC
from ipse.models.recurrent import WaveLSTM
from ipse.models.speech import MelTransformer
from ipse.training import Batch, Feed
from ipse.transforms import viewer

DATA = samples("audio")


def batch() -> Batch:
    return Feed(DATA, AlignedCPC.sees, viewer(DATA.form), 6, 0).batch(0)


def method(**settings: Any) -> AlignedCPC:
    torch.manual_seed(0)
    return AlignedCPC(WaveLSTM(DATA.form, conv=16, width=24), **settings)


def scores(made: AlignedCPC) -> tuple[Tensor, Tensor, Tensor]:
    seen = batch()
    z, valid = made.encoder.frames(next(iter(seen)))
    return made.scores(z, made.encoder.context(z, valid)[-1], valid, seen)


def log_likelihood(made: AlignedCPC) -> Tensor:
    """S (windows, K, M)."""
    positive, negative, whole = scores(made)
    return F.logsigmoid(positive - negative[:, :, None])[whole]


def test_as_many_predictions_as_frames_are_plain_cpc() -> None:
    made = method(frames=5, predictions=5)
    expected = -log_likelihood(made).diagonal(dim1=1, dim2=2).sum(dim=1).mean()
    torch.testing.assert_close(made.loss(batch()).loss, expected)


def test_one_prediction_stands_for_all_frames() -> None:
    made = method(predictions=1)
    torch.testing.assert_close(made.loss(batch()).loss, -log_likelihood(made)[:, :, 0].sum(dim=1).mean())


def test_all_alignments_count() -> None:
    made = method(frames=5, predictions=3)
    s = log_likelihood(made)
    paths = []
    for changes in itertools.combinations(range(1, 5), 2):
        owner = [sum(k >= c for c in changes) for k in range(5)]
        paths.append(sum(s[:, k, m] for k, m in enumerate(owner)))
    assert len(paths) == math.comb(4, 2)
    torch.testing.assert_close(made.loss(batch()).loss, -torch.stack(paths).logsumexp(dim=0).mean())


def test_each_frame_is_explained_once() -> None:
    positive, negative, whole = scores(method(frames=6, predictions=4))
    a, b = positive[whole].detach().requires_grad_(), negative[whole].detach()
    s = F.logsigmoid(a - b[:, None])
    (aligned_prediction(a, b) * len(a)).backward()
    posterior = -a.grad / torch.sigmoid(b[:, None] - a.detach())  # dS/da
    torch.testing.assert_close(posterior.sum(dim=2), torch.ones(len(a), 6), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(posterior.sum(dim=(1, 2)), torch.full((len(a),), 6.0), rtol=1e-3, atol=1e-3)
    assert s.shape == a.shape


def test_scores_by_hand() -> None:
    made, seen = method(frames=4, predictions=2, negatives=5, self_loop=True), batch()
    z, valid = made.encoder.frames(next(iter(seen)))
    c = made.encoder.context(z, valid)[-1]
    positive, negative, whole = made.scores(z, c, valid, seen)
    row, w = 3, 2
    count = int(valid[row].sum())
    width = min(made.windows, z.shape[1] - 4)
    t = int(seen.uniform("windows", 1)[row, 0].double() * max(count - 4 - width + 1, 1)) + w
    p = torch.cat([z[row, t][None], made.predictor(c[row, t]).view(2, 16)])
    torch.testing.assert_close(positive[row, w], z[row, t + 1 : t + 5] @ p.T / 16)
    drawn = (seen.uniform("negatives", 5)[row].double() * count).long()
    far = drawn[(drawn < t) | (drawn > t + 4)]
    torch.testing.assert_close(negative[row, w], (p @ z[row, far].T / 16).logsumexp(dim=1))
    assert whole.shape == positive.shape[:2]


def test_windows_lie_in_the_sound() -> None:
    made, seen = method(windows=1000), batch()
    _, valid = made.encoder.frames(next(iter(seen)))
    whole = scores(made)[2]
    assert whole.sum(dim=1).tolist() == (valid.sum(dim=1) - 12).clamp(min=0).tolist()
    assert scores(method(windows=7))[2].shape == (6, 7)


def test_clips_that_are_too_short_give_nothing() -> None:
    made, seen = method(), batch()
    seen.views[0].x = seen.views[0].x[:, :1_000]
    loss = made.loss(seen).loss
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())


def test_mistakes() -> None:
    with pytest.raises(UserError, match="12 predictions cannot be aligned with 11 frames: take --set predictions=11 or less"):
        method(frames=11, predictions=12)
    with pytest.raises(UserError, match="take wave_lstm"):
        AlignedCPC(MelTransformer(DATA.form, width=16, depth=1, heads=2))
