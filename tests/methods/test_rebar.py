"""REBAR: the checks of its card."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ipse.data import form
from ipse.data.series import Series
from ipse.errors import UserError
from ipse.losses.series import candidate_contrast
from ipse.methods.pretrain.rebar import Rebar, Reconstructor
from ipse.models.dilated_conv import DilatedConv
from ipse.models.partial_conv import PartialConv1d
from ipse.training import Batch, Feed
from ipse.transforms.series import SeriesPolicy, SeriesViewer

LENGTH = 32
FORM = form.series(2, LENGTH)


def recordings(sizes: list[int] | None = None) -> Series:
    """Recordings of as many windows as `sizes` says; their windows alternate between two shapes."""
    sizes = sizes or [6] * 12
    rng = np.random.default_rng(0)
    t, windows, shapes = np.arange(LENGTH), [], []
    for size in sizes:
        for i in range(size):
            phase = rng.uniform(0, 2 * np.pi)
            wave = np.sin(2 * np.pi * t / 8 + phase) if i % 2 else np.sign(np.sin(2 * np.pi * t / 16 + phase))
            windows.append(np.stack([wave, -wave], 1) + 0.05 * rng.normal(size=(LENGTH, 2)))
            shapes.append(i % 2)
    n = len(windows)
    x = np.concatenate(windows).astype(np.float32)
    group = np.repeat(np.arange(len(sizes)), sizes)
    return Series(x, np.arange(n) * LENGTH, np.full(n, LENGTH), FORM, np.array(shapes, np.int64), group=group)


def small(samples: Series, **settings: object) -> Rebar:
    torch.manual_seed(0)
    method = Rebar(DilatedConv(FORM, dim=16, hidden=16, depth=2), **{"candidates": 4, "width": 32, "dropout": 0.0, **settings})
    method.prepare(samples)
    return method


def batch(method: Rebar, samples: Series, step: int = 0, steps: int = 100, size: int = 8) -> Batch:
    return Feed(samples, method.sees, SeriesViewer(SeriesPolicy()), size, 0).batch(step, steps)


def taught(samples: Series, steps: int = 40, **settings: object) -> Rebar:
    """After round 1."""
    method = small(samples, **settings)
    optimizer = torch.optim.AdamW(method.parameters(), 3e-3, weight_decay=0.0)
    for step in range(steps):
        method.loss(batch(method, samples, step, 2 * steps, 12)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return method


def test_a_partial_convolution_that_sees_all_is_a_convolution_in_the_interior() -> None:
    torch.manual_seed(0)
    layer, x = PartialConv1d(2, 3, 5, padding=2), torch.randn(4, 2, 20)
    plain = F.conv1d(x, layer.weight, layer.bias, padding=2)
    torch.testing.assert_close(layer(x)[..., 2:-2], plain[..., 2:-2])


def test_the_reconstruction_never_sees_what_is_hidden() -> None:
    torch.manual_seed(0)
    model, x, key = Reconstructor(2, 32), torch.randn(3, 2, LENGTH), torch.randn(3, 2, LENGTH)
    hidden = torch.arange(LENGTH).expand(3, 1, -1) % 3 == 0
    other = torch.where(hidden, 100 * torch.randn_like(x), x)
    assert torch.equal(model(x.masked_fill(hidden, torch.nan), key), model(other.masked_fill(hidden, torch.nan), key))


def test_the_distance_is_the_squared_error_at_the_hidden_steps() -> None:
    torch.manual_seed(0)
    model, x, key = Reconstructor(2, 32), torch.randn(3, 2, LENGTH), torch.randn(3, 2, LENGTH)
    x[0, 1, 5:] = torch.nan
    hidden = torch.rand(3, LENGTH) < 0.5
    filled = model(x.masked_fill(hidden[:, None], torch.nan), key)
    expected = [
        sum(
            float(filled[b, c, t] - x[b, c, t]) ** 2
            for c in range(2)
            for t in range(LENGTH)
            if hidden[b, t] and not x[b, c, t].isnan()
        )
        for b in range(3)
    ]
    torch.testing.assert_close(model.distance(x, key, hidden), torch.tensor(expected), rtol=1e-4, atol=1e-4)


def test_padding_of_a_key_is_never_retrieved() -> None:
    torch.manual_seed(0)
    model, x, key = Reconstructor(1, 16, 0), torch.randn(1, 1, 40), torch.randn(1, 1, 40)
    key[..., 20:] = torch.nan
    seen: list[Tensor] = []
    original = F.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor, dropout_p: float) -> Tensor:
        seen.append(attn_mask)
        return original(q, k, v, attn_mask=attn_mask, dropout_p=dropout_p)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "scaled_dot_product_attention", spy)
        assert model(x, key).isfinite().all()
        assert model(x, torch.full_like(key, torch.nan)).isfinite().all()
    assert seen[0].flatten().tolist() == [True] * 20 + [False] * 20


def test_candidates_that_cannot_be_told_apart_cost_the_logarithm_of_their_number() -> None:
    h, same, label = torch.randn(3, 4), torch.ones(3, 5, 4), torch.tensor([0, 1, 4])
    assert float(candidate_contrast(h, same, label)) == pytest.approx(math.log(5), rel=1e-5)
    there = torch.tensor([[True, True, False, False, False], [True, True, True, False, False], [False] * 5])
    assert float(candidate_contrast(h, same, label, valid=there)) == pytest.approx((math.log(2) + math.log(3)) / 2, rel=1e-5)


def test_after_round_one_a_window_is_nearest_to_itself_and_nearer_to_its_own_shape() -> None:
    samples = recordings()
    method = taught(samples, width=16)
    x = samples.read(np.arange(len(samples)))["x"]
    y = torch.from_numpy(samples.y)
    hidden = torch.rand(len(x), LENGTH, generator=torch.Generator().manual_seed(0)).argsort(1) < LENGTH // 2
    far = torch.stack([method.reconstructor.distance(x, x[j].expand_as(x), hidden) for j in range(len(x))], dim=1)
    same = y[:, None] == y
    itself = torch.eye(len(x), dtype=torch.bool)
    assert far[itself].mean() < far[~same].mean()
    assert far[same & ~itself].mean() < far[~same].mean()


def test_each_round_teaches_its_own_part_and_nothing_else() -> None:
    samples = recordings()
    method = small(samples)
    for step, learns in ((0, "reconstructor."), (50, "encoder.")):
        method.zero_grad()
        method.loss(batch(method, samples, step)).loss.backward()
        moved = {name for name, p in method.named_parameters() if p.grad is not None and p.grad.any()}
        assert all(p.grad.isfinite().all() for p in method.parameters() if p.grad is not None)
        assert moved
        assert all(name.startswith(learns) for name in moved)
        assert all(p.grad is not None for p in method.parameters() if p.requires_grad)


def test_the_positive_is_the_candidate_that_fills_the_gaps_best(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = recordings()
    method = small(samples, alpha=1.0)
    seen = batch(method, samples, 50)
    best = torch.tensor([2, 0, 1, 3, 3, 0, 1, 2])
    turn = iter(range(4))
    monkeypatch.setattr(method.reconstructor, "distance", lambda a, c, hidden: (best != next(turn)).float())
    step = method.loss(seen)
    expected = torch.stack([method.encoder(seen.views[1 + int(c)].x[i : i + 1])[0] for i, c in enumerate(best)])
    torch.testing.assert_close(step.z[1], expected)
    torch.testing.assert_close(step.loss, step.terms["instance"])


def test_windows_that_a_small_recording_lacks_are_no_candidates() -> None:
    samples = recordings([3, 6, 2, 1])
    method = small(samples, candidates=20)
    assert method.candidates == 5
    assert len(method.sees.looks) == 6
    assert method.members.tolist() == [3] * 3 + [6] * 6 + [2] * 2 + [1]
    seen = batch(method, samples, 50, size=4)
    members = method.members[seen.index]
    h = method.encoder(seen.views[0].x)
    step = method.loss(seen)
    for i, n in enumerate(members.tolist()):
        others = [v.x[i] for v in seen.views[1:n]]
        positive = step.z[1][i]
        if n > 1:
            assert any(torch.allclose(method.encoder(o[None])[0], positive, atol=1e-5) for o in others)
            assert not any(torch.equal(o, seen.views[0].x[i]) for o in others)
    torch.testing.assert_close(step.z[0], h)
    assert step.loss.isfinite()


def test_at_the_end_the_encoder_is_the_mean_of_its_weights_in_round_two() -> None:
    samples = recordings()
    method = small(samples, averaged=0.5)
    weight = method.encoder.input.weight
    for step in range(20):
        with torch.no_grad():
            weight.fill_(float(step))
        method.after_step(batch(method, samples, step, 20))
    torch.testing.assert_close(weight, torch.full_like(weight, np.mean([15, 16, 17, 18, 19])))
    assert int(method.counted) == 5


def test_data_without_recordings_is_an_error_that_says_what_is_needed() -> None:
    with pytest.raises(UserError, match="each sample stands alone: give longer recordings, or groups"):
        small(recordings([1, 1, 1]))
