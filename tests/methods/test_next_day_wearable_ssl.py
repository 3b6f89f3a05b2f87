"""Prediction of the next day: the checks of the card."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.data import form
from ipse.errors import UserError
from ipse.methods.pretrain.next_day_wearable_ssl import NextDay
from ipse.models.dilated_conv import DilatedConv
from ipse.training import Batch
from ipse.transforms import View

FORM = form.series(3, 28, names=["pulse", "bed", "steps"])


def encoder(causal: bool = True) -> DilatedConv:
    torch.manual_seed(0)
    return DilatedConv(FORM, dim=16, hidden=16, causal=causal)


def batch(x: Tensor) -> Batch:
    return Batch([View(x)], torch.arange(len(x)), torch.arange(len(x)))


def days(n: int = 5) -> Tensor:
    return torch.randn(n, 3, 28, generator=torch.Generator().manual_seed(0))


def test_the_loss_by_hand() -> None:
    method, x = NextDay(encoder(), target="bed"), days(2)
    x[0, 1, 4], x[1, :, 20:] = torch.nan, torch.nan
    states = method.encoder.dense(x)
    errors = [
        float(method.head(states[b, t]) - x[b, 1, t + 1]) ** 2
        for b in range(2)
        for t in range(27)
        if not x[b, 1, t + 1].isnan()
    ]
    assert len(errors) == 26 + 19
    assert float(method.loss(batch(x)).loss) == pytest.approx(sum(errors) / len(errors), rel=1e-5)


def test_days_without_a_target_cost_nothing_and_teach_nothing() -> None:
    method, x = NextDay(encoder(), target="pulse"), days()
    x[:, 0, 1:] = torch.nan
    step = method.loss(batch(x))
    step.loss.backward()
    assert float(step.loss) == 0
    assert all(p.grad is None or not p.grad.any() for p in method.parameters())


@pytest.mark.parametrize("ahead", [1, 3])
def test_what_is_predicted_is_not_seen(ahead: int) -> None:
    method, x = NextDay(encoder(), ahead=ahead), days().requires_grad_()
    states = method.encoder.dense(x)
    day = 10
    (gradient,) = torch.autograd.grad(states[:, day].square().sum(), x)
    assert not gradient[:, :, day + 1 :].any()
    assert gradient[:, :, day].any()


def test_a_linear_model_of_an_autoregressive_series_finds_its_coefficient() -> None:
    class Last(DilatedConv):
        """The present value as it is."""

        def dense(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
            return x.transpose(1, 2)

    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(400, 1, 28)
    for t in range(1, 28):
        x[:, 0, t] = 0.7 * x[:, 0, t - 1] + 0.3 * torch.randn(400, generator=generator)
    method = NextDay(Last(form.series(1, 28), dim=1, hidden=4, causal=True))
    optimizer = torch.optim.LBFGS(method.head.parameters(), max_iter=50)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = method.loss(batch(x)).loss
        loss.backward()
        return loss

    optimizer.step(closure)
    assert float(method.head.weight) == pytest.approx(0.7, abs=0.02)
    assert float(method.head.bias) == pytest.approx(0.0, abs=0.01)


def test_its_usual_encoder_is_causal() -> None:
    assert (NextDay.usual_encoder, dict(NextDay.encoder_options)) == ("dilated_conv", {"causal": True})


def test_mistakes() -> None:
    with pytest.raises(
        UserError, match="needs an encoder that sees no later steps, and dilated_conv does: leave --encoder out"
    ):
        NextDay(encoder(causal=False))
    with pytest.raises(UserError, match="unknown channel 'step': did you mean 'steps'"):
        NextDay(encoder(), target="step")
    with pytest.raises(UserError, match=r"target=3: the series has 3 channel\(s\), 0 to 2"):
        NextDay(encoder(), target=3)
    with pytest.raises(UserError, match="predicts 1 to 27 steps ahead in series of 28, not 28"):
        NextDay(encoder(), ahead=28)
