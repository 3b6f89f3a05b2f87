from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.models.dilated_conv import DilatedConv


def encoder(channels: int = 3, length: int = 40, **options: Any) -> DilatedConv:
    torch.manual_seed(0)
    form = {"modality": "series", "channels": channels, "length": length}
    return DilatedConv(form, **{"dim": 12, "hidden": 8, **options}).eval()


def series(batch: int = 4, channels: int = 3, length: int = 40) -> Tensor:
    return torch.randn(batch, channels, length, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_shapes(causal: bool, kernel: int) -> None:
    model, x = encoder(causal=causal, kernel=kernel), series()
    assert model.dense(x).shape == (4, 40, 12)
    assert model(x).shape == (4, model.dim) == (4, 12)
    torch.testing.assert_close(model(x), model.dense(x).amax(1))
    assert not model.has_tokens


@pytest.mark.parametrize(("length", "depth"), [(1, 1), (5, 1), (6, 2), (13, 2), (128, 6), (512, 8)])
def test_it_is_as_deep_as_the_series_is_long(length: int, depth: int) -> None:
    model = encoder(length=length)
    assert model.depth == depth
    assert model.receptive_field >= length
    assert model(series(length=length)).isfinite().all()


def test_the_receptive_field_is_what_gradients_reach() -> None:
    model, x = encoder(length=60, depth=3), series(length=60).requires_grad_()
    model.dense(x)[:, 30].sum().backward()
    assert x.grad is not None
    reached = x.grad.abs().sum((0, 1)) > 0
    assert int(reached.sum()) == model.receptive_field == 29
    assert reached[30 - 14 : 30 + 15].all()


@pytest.mark.parametrize("step", [1, 17, 39])
def test_a_causal_encoder_does_not_see_what_comes(step: int) -> None:
    model, x = encoder(causal=True), series()
    changed = x.clone()
    changed[..., step:] = torch.randn_like(changed[..., step:])
    assert torch.equal(model.dense(changed)[:, :step], model.dense(x)[:, :step])
    assert not torch.allclose(model.dense(changed)[:, step], model.dense(x)[:, step])


@pytest.mark.parametrize("causal", [False, True])
def test_padding_changes_nothing(causal: bool) -> None:
    model, x = encoder(causal=causal), series()
    padded = x.clone()
    padded[..., 23:] = torch.nan
    torch.testing.assert_close(model(padded), model(x[..., :23]))
    torch.testing.assert_close(model.dense(padded)[:, :23], model.dense(x[..., :23]))
    assert not model.dense(padded)[:, 23:].any()
    mixed = torch.cat([padded[:2], x[2:]])  # beside longer series
    torch.testing.assert_close(model(mixed), torch.cat([model(padded[:2]), model(x[2:])]))


def test_missing_values_enter_as_zeros_that_are_known_to_be_missing() -> None:
    model, x = encoder(), series()
    x[:, 1, 5] = torch.nan
    assert model.dense(x).isfinite().all()
    assert not torch.allclose(model(x), model(x.nan_to_num()))
    nothing = torch.full((2, 3, 40), torch.nan)
    assert not model(nothing).any()
    assert not model.dense(nothing).any()


def test_hidden_steps_enter_like_steps_of_which_nothing_is_known() -> None:
    model, x = encoder(), series()
    hidden = torch.rand(4, 40) < 0.5
    hidden[:, -1] = False
    torch.testing.assert_close(model.dense(x, hidden), model.dense(x.masked_fill(hidden[:, None], torch.nan)))
    hidden[:, -5:] = True
    assert model.dense(x, hidden)[:, -5:].all()  # padding would give 0


def test_gradients_are_finite_and_reach_every_weight() -> None:
    model, x = encoder(), series()
    x[0, 0, 3] = x[1, :, 20:] = x[2] = torch.nan
    model(x).square().sum().backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any()


def test_half_precision() -> None:
    model, x = encoder(), series()
    x[0, :, 20:] = torch.nan
    with torch.autocast("cpu", torch.bfloat16):
        h = model(x)
    assert h.isfinite().all()
    torch.testing.assert_close(h.float(), model(x), rtol=0.1, atol=0.1)


def test_its_options_build_it_again() -> None:
    model = encoder(causal=True, kernel=2, dropout=0.3)
    again = DilatedConv(model.form, **model.options())
    again.load_state_dict(model.state_dict())
    assert again.options() == model.options()
    torch.testing.assert_close(again.eval()(series()), model(series()))
    with pytest.raises(UserError, match="at least 2 steps, not 1"):
        encoder(kernel=1)
