"""One network that labels, learns and is rewarded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.methods.selftrain.small import Linear, batch_of, built, feed_for, learned, rows
from torch.nn import functional as F

from ipse.data import Samples
from ipse.methods.selftrain.meta_pseudo_labels import MetaPseudoLabels
from ipse.methods.selftrain.self_meta import SelfMetaPseudoLabels

X = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
Y = torch.tensor([0, 1, -1, -1, -1, 1, -1, -1])
HAS = Y >= 0


def linear(**settings: Any) -> Any:
    return SelfMetaPseudoLabels(Linear(), **{"clip": 1e9, **settings})  # type: ignore[arg-type]


def gradients(model: Linear, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the labelled loss, and of that of the guesses."""
    guess = model(X).argmax(1)
    losses = F.cross_entropy(model(X[HAS]), y[HAS]), F.cross_entropy(model(X[~HAS]), guess[~HAS])
    return tuple(torch.autograd.grad(loss, model.weight)[0] for loss in losses)  # type: ignore[return-value]


def test_the_feedback_is_the_inner_product_of_both_gradients() -> None:
    method = linear()
    expected = (lambda g: (g[0] * g[1]).sum())(gradients(method.model, Y))
    for rate in (1e-2, 1e-3):
        copy = linear()
        copy.model.load_state_dict(method.model.state_dict())
        copy.double()
        step = copy.update(batch_of(X.double(), Y), [torch.optim.SGD(copy.parameters(), lr=rate)])
        assert float(step.terms["feedback"]) / rate == pytest.approx(float(expected), rel=5 * rate + 1e-3)


def test_both_steps_by_hand() -> None:
    method, rate = linear(temperature=0.5, threshold=0.3, smoothing=0.1, unsupervised=2.0, ramp=0), 0.3
    optimizer = torch.optim.SGD(method.parameters(), lr=rate)
    w = method.model.weight.detach().clone().requires_grad_()
    guess = (X @ w.T).argmax(1)
    q = (X @ w.T).detach()
    old = F.cross_entropy(X[HAS] @ w.T, Y[HAS])
    (g,) = torch.autograd.grad(F.cross_entropy(X[~HAS] @ w.T, guess[~HAS]), w)
    w1 = (w - rate * g).detach().requires_grad_()
    h = (old - F.cross_entropy(X[HAS] @ w1.T, Y[HAS])).detach()
    sharp = (q[~HAS] / 0.5).softmax(1)
    uda = (-(sharp * (X[~HAS] @ w1.T).log_softmax(1)).sum(1) * (sharp.max(1).values >= 0.3)).mean()
    loss = (
        h * F.cross_entropy(X[~HAS] @ w1.T, guess[~HAS]) + F.cross_entropy(X[HAS] @ w1.T, Y[HAS], label_smoothing=0.1) + 2 * uda
    )
    (g2,) = torch.autograd.grad(loss, w1)
    method.update(batch_of(X, Y), [optimizer])
    torch.testing.assert_close(method.model.weight.detach(), w1.detach())
    optimizer.step()
    torch.testing.assert_close(method.model.weight.detach(), w1.detach() - rate * g2)


def test_without_feedback_and_uda_the_second_step_is_plain_supervised_learning() -> None:
    method = linear(unsupervised=0.0, smoothing=0.0, centre=0.0)
    method._centred = lambda h: 0 * h
    method.update(batch_of(X, Y), [torch.optim.SGD(method.parameters(), lr=0.1)])
    w = method.model.weight.detach().clone().requires_grad_()
    (expected,) = torch.autograd.grad(F.cross_entropy(X[HAS] @ w.T, Y[HAS]), w)
    torch.testing.assert_close(method.model.weight.grad, expected)


def test_guesses_that_are_the_truth_of_the_same_samples_are_rewarded() -> None:
    model = Linear()
    truth = model(X[:4]).argmax(1)
    method = linear()
    batch = batch_of(torch.cat([X[:4], X[:4]]), torch.cat([truth, torch.full((4,), -1)]))
    step = method.update(batch, [torch.optim.SGD(method.parameters(), lr=0.1)])
    assert step.terms["feedback"] > 0


def test_the_last_part_of_the_run_learns_labels_alone_at_a_tenth_of_the_rate() -> None:
    method = linear()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    step = method.update(batch_of(X, Y, step=95, steps=100), [optimizer])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.01)
    torch.testing.assert_close(step.loss, F.cross_entropy(method.model(X[HAS]), Y[HAS]))
    torch.testing.assert_close(method.model.weight, Linear().weight)


def test_the_weight_of_uda_grows_and_gradients_are_clipped() -> None:
    method = linear(clip=0.01, ramp=50)
    method.update(batch_of(X, Y), [torch.optim.SGD(method.parameters(), lr=0.1)])
    assert method.model.weight.grad.norm() <= 0.01 * 1.0001
    assert (method.model.weight - Linear().weight).norm() <= 0.1 * 0.01 * 1.0001


def test_a_moving_mean_is_subtracted_from_the_feedback_on_request() -> None:
    method = linear(centre=0.9)
    assert method._centred(torch.tensor(1.0)) == pytest.approx(0.9)
    assert method._centred(torch.tensor(1.0)) == pytest.approx(0.81)


def count(method: Any) -> int:
    return sum(p.numel() for p in method.parameters())


def test_meta_pseudo_labels_holds_twice_as_many_weights_and_moves_each_by_its_own_loss() -> None:
    data: Samples = rows()
    ours, theirs = built(SelfMetaPseudoLabels, data), built(MetaPseudoLabels, data)
    assert count(theirs) == 2 * count(ours)
    batch = feed_for(theirs, data).batch(0, 100)
    before = {name: x.detach().clone() for name, x in theirs.named_parameters()}
    theirs.update(batch, [torch.optim.SGD(theirs.parameters(), lr=0.1)])
    moved = {name.split(".")[0] for name, x in theirs.named_parameters() if not torch.equal(x, before[name])}
    taught = {name.split(".")[0] for name, x in theirs.named_parameters() if x.grad is not None}
    assert moved == {"model"}
    assert taught == {"_teacher"}


def test_it_learns() -> None:
    data = rows()
    method = learned(built(SelfMetaPseudoLabels, data), data, 60, lr=0.05, optimizer="sgd")
    x = torch.cat([x for _, x in feed_for(method, data).everything()])
    assert (method.learned.eval()(x).argmax(1) == torch.arange(60) % 3).float().mean() > 0.8
