from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.data import form as forms
from ipse.data.series import Series
from ipse.errors import UserError
from ipse.metrics.forecasting import _repeated, _season, forecast_probe, ridge
from ipse.models.dilated_conv import DilatedConv
from ipse.models.patch_transformer import PatchTransformer

LENGTH = 48


def recorded(n: int, seed: int = 0, period: int = 12, noise: float = 0.1) -> np.ndarray:
    """(n, 2) steps of two channels with one period."""
    t, rng = np.arange(n), np.random.default_rng(seed)
    wave = np.stack([np.sin(2 * math.pi * t / period), 1.5 * np.cos(2 * math.pi * t / period)], axis=1)
    return (wave + noise * rng.standard_normal((n, 2))).astype(np.float32)


def windows(x: np.ndarray, step: int = 5) -> Series:
    first = np.arange(0, len(x) - LENGTH + 1, step)
    return Series(x, first, np.full(len(first), LENGTH), forms.series(x.shape[1], LENGTH))


def encoder(**options: Any) -> PatchTransformer:
    torch.manual_seed(0)
    return PatchTransformer(forms.series(2, LENGTH), **{"patch": 6, "width": 16, "depth": 1, "heads": 2, **options})


class TestRidge:
    @pytest.mark.parametrize(("n", "d"), [(30, 5), (5, 30), (8, 8)])
    def test_solves_the_normal_equations(self, n: int, d: int) -> None:
        x, y = torch.randn(n, d).double(), torch.randn(n, 3).double()
        for penalty, w in zip((1e-3, 2.0), ridge(x, y, (1e-3, 2.0)), strict=True):
            expected = np.linalg.solve((x.T @ x / n + penalty * torch.eye(d)).numpy(), (x.T @ y / n).numpy())
            torch.testing.assert_close(w, torch.from_numpy(expected))

    def test_nothing_to_learn_from_and_no_penalty(self) -> None:
        (w,) = ridge(torch.zeros(4, 3), torch.ones(4, 2), (0.0,))
        assert not w.any()


class TestPlainForecasts:
    def test_last_and_season(self) -> None:
        x = torch.tensor([[[9.0, 1.0, 2.0, 3.0, 4.0]]])
        assert _repeated(x, 1, 3).tolist() == [[[4.0, 4.0, 4.0]]]
        assert _repeated(x, 3, 4).tolist() == [[[2.0, 3.0, 4.0, 2.0]]]

    def test_missing_values_give_way_to_the_season_before(self) -> None:
        nan = math.nan
        x = torch.tensor([[[1.0, nan, 3.0, 4.0, nan, nan]], [[nan] * 6]])
        assert _repeated(x, 3, 3)[0].tolist() == [[4.0, 4.0, 3.0]]
        assert _repeated(x, 1, 2).tolist() == [[[4.0, 4.0]], [[0.0, 0.0]]]

    @pytest.mark.parametrize("period", [4, 7, 12])
    def test_the_season_is_found(self, period: int) -> None:
        x = torch.from_numpy(recorded(400, period=period).T.copy()).unfold(1, 36, 5).transpose(0, 1)
        assert _season(x) == period

    def test_a_trend_has_none(self) -> None:
        assert _season(torch.arange(40.0).expand(3, 1, -1)) == 1


class TestProbe:
    def test_errors_of_plain_forecasts_by_hand(self) -> None:
        x = recorded(400, 1)
        test = windows(x)
        numbers = forecast_probe(encoder(), windows(recorded(600)), test, horizon=10)
        slow: dict[str, list[np.ndarray]] = {"last": [], "season": []}
        for start in range(0, len(x) - LENGTH + 1, 5):
            past, future = x[start : start + 38], x[start + 38 : start + 48]
            slow["last"].append(past[-1:] - future)
            slow["season"].append(past[-12:][:10] - future)
        for name, errors in slow.items():
            assert numbers[name]["mse"] == pytest.approx(np.square(errors).mean(), rel=1e-4)
            assert numbers[name]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)

    @pytest.mark.parametrize(
        "model", [encoder(), encoder(mix=True), encoder(stride=3), DilatedConv(forms.series(2, LENGTH), 32, 16)]
    )
    def test_periodic_series_are_forecast_from_any_encoder(self, model: Any) -> None:
        numbers = forecast_probe(model.train(), windows(recorded(1500)), windows(recorded(400, 1)))
        assert model.training
        assert numbers["linear"]["mse"] < 0.05
        assert numbers["encoder"]["mse"] < 0.5 * numbers["last"]["mse"]
        assert set(numbers) == {"encoder", "linear", "last", "season"}

    def test_the_future_is_not_seen(self) -> None:
        x = recorded(1500)
        model = encoder()
        seen: list[Tensor] = []
        dense = model.dense
        model.dense = lambda x: (seen.append(x), dense(x))[1]  # type: ignore[method-assign]
        forecast_probe(model, windows(x), windows(x[:400]), horizon=10)
        assert all(each[..., 38:].isnan().all() for each in seen)
        assert not any(each[..., :38].isnan().any() for each in seen)

    def test_the_linear_forecast_solves_a_linear_law(self) -> None:
        """x_t = 2 cos(w) x_{t-1} - x_{t-2}: without noise nothing is left."""
        numbers = forecast_probe(
            encoder(),
            windows(recorded(1500, noise=0.0)[:, :1].repeat(2, 1)),
            windows(recorded(300, noise=0.0)[:, :1].repeat(2, 1)),
        )
        assert numbers["linear"]["mse"] < 1e-6
        assert numbers["season"]["mse"] < 1e-6

    def test_gaps_and_early_ends(self) -> None:
        x, y = recorded(1500), recorded(400, 1)
        x[::17, 0] = y[100:160] = np.nan
        steps = np.full(60, LENGTH)
        steps[::4] = 20
        test = Series(y, np.arange(60) * 5, steps, forms.series(2, LENGTH))
        for model in (encoder(), DilatedConv(forms.series(2, LENGTH), 16, 8)):
            numbers = forecast_probe(model, windows(x), test, horizon=4)
            assert all(math.isfinite(v) for each in numbers.values() for v in each.values())

    def test_mistakes(self) -> None:
        data = windows(recorded(200))
        for horizon in (0, 48):
            with pytest.raises(UserError, match=f"a forecast of {horizon} steps does not fit into windows of 48: take 1 to 47"):
                forecast_probe(encoder(), data, data, horizon=horizon)
        short = Series(recorded(200), np.arange(9), np.full(9, 20), forms.series(2, LENGTH))
        with pytest.raises(UserError, match="needs windows that are known to their end"):
            forecast_probe(encoder(), short, short)
