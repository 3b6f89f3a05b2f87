from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ipse.metrics.forecast import mae, mase, mse, receptive_field
from ipse.models.dilated_conv import DilatedConv


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


class TestErrors:
    def test_what_is_not_known_is_left_out(self) -> None:
        prediction, target = normal(4, 2, 9), normal(4, 3, 9)[:, :2]
        difference = (prediction - target).double().numpy()
        assert mse(prediction, target) == pytest.approx((difference**2).mean())
        assert mae(prediction, target) == pytest.approx(abs(difference).mean())
        target[..., 5:] = torch.nan
        assert mse(prediction, target) == pytest.approx((difference[..., :5] ** 2).mean())
        assert mae(prediction, target) == pytest.approx(abs(difference[..., :5]).mean())
        assert math.isnan(mse(prediction, target * torch.nan))

    def test_mase_of_the_seasonal_forecast_of_a_series_that_goes_on_is_one(self) -> None:
        x = torch.arange(40.0)[None]  # from season to season it grows by 7, within the history and behind it
        assert mase(x[:, 23:30], x[:, 30:37], x[:, :30], season=7) == pytest.approx(1)

    def test_mase_equals_the_slow_version(self) -> None:
        prediction, target, history = normal(3, 2, 5), normal(3, 3, 5)[:, :2], normal(3, 2, 20)
        history[0, 0, 4] = target[1, 0, 2] = torch.nan
        scores = []
        for i, c in np.ndindex(3, 2):
            error = np.nanmean(abs(prediction[i, c] - target[i, c]).double().numpy())
            scores.append(error / np.nanmean(abs(history[i, c, 4:] - history[i, c, :-4]).double().numpy()))
        assert mase(prediction, target, history, season=4) == pytest.approx(np.mean(scores), rel=1e-6)

    def test_mase_leaves_out_series_without_a_scale(self) -> None:
        prediction, target, history = torch.ones(3, 2), torch.zeros(3, 2), torch.tensor([[1.0, 1, 1], [0, 1, 0], [0, 2, 0]])
        assert mase(prediction, target, history) == pytest.approx((1 + 0.5) / 2)
        assert math.isnan(mase(prediction[:1], target[:1], history[:1]))


class TestReceptiveField:
    def test_of_a_linear_model_it_is_its_weights(self) -> None:
        w = normal(12)
        field = receptive_field(lambda x: x[:, 0] @ w, normal(6, 1, 12))
        torch.testing.assert_close(field, w.abs() / w.abs().max())

    def test_gradients_of_opposite_sign_do_not_cancel(self) -> None:
        """The gradients of a product are the other factor, of either sign; of two outputs, w and -w."""
        x = torch.tensor([[[1.0, -2.0]], [[-1.0, 2.0]]])
        torch.testing.assert_close(receptive_field(lambda x: x[:, 0].prod(1), x), torch.tensor([1.0, 0.5]))
        w = normal(2)
        torch.testing.assert_close(
            receptive_field(lambda x: torch.stack([x[:, 0] @ w, -x[:, 0] @ w], 1), x), w.abs() / w.abs().max()
        )

    def test_one_of_several_outputs(self) -> None:
        x = normal(3, 2, 5)
        field = receptive_field(lambda x: x.cumsum(-1), x, output=lambda y: y[:, 0, 2])
        torch.testing.assert_close(field, torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]))

    def test_a_causal_convolution_sees_nothing_beyond_its_field(self) -> None:
        encoder = DilatedConv({"modality": "series", "channels": 2, "length": 64}, dim=8, hidden=8, depth=3, causal=True).eval()
        field = receptive_field(encoder.dense, normal(4, 2, 64), output=lambda h: h[:, -1])
        assert encoder.receptive_field == 29
        assert not field[:-29].any()
        assert field[-29:].all()
        assert not receptive_field(encoder.dense, normal(4, 2, 64), output=lambda h: h[:, 30])[31:].any()

    def test_a_model_that_looks_at_nothing(self) -> None:
        assert not receptive_field(lambda x: 0 * x.sum(-1), normal(2, 1, 4)).any()

    def test_no_gradient_is_left_behind(self) -> None:
        linear = torch.nn.Linear(5, 2)
        with torch.no_grad():
            assert receptive_field(linear, normal(3, 1, 5)).max() == 1
        assert linear.weight.grad is None
