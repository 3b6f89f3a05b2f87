from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from ipse.errors import UserError
from ipse.losses import hierarchical_contrast
from ipse.metrics.forecast import receptive_field
from ipse.studies.forecast_contrast import ALGORITHMS
from ipse.studies.forecasters import BACKBONES, TCN
from ipse.studies.ts_contrastive_forecasting import STRATEGIES, Budget, Parts, learned, main, run, synthetic

SMALL = Budget(steps=2, batch=4, width=8)


def data(length: int = 16, horizon: int = 4) -> Parts:
    return Parts.of(synthetic(200, 2, period=8), length, horizon)


class TestCard:
    @pytest.mark.parametrize("backbone", BACKBONES)
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_no_weight_is_the_supervised_run_bit_for_bit(self, backbone: str, algorithm: str) -> None:
        parts, budget = data(), Budget(steps=2, batch=4, width=8, weight=0.0)
        joint = learned(parts, backbone, algorithm, "end-to-end", budget, seed=3)
        alone = learned(parts, backbone, "", "supervised", budget, seed=3)
        assert torch.equal(joint(parts.test[0]), alone(parts.test[0]))
        other = learned(parts, backbone, algorithm, "end-to-end", SMALL, seed=3)
        assert not torch.equal(other(parts.test[0]), alone(parts.test[0]))

    def test_b_receptive_field_of_a_linear_model(self) -> None:
        w = torch.tensor([0.5, -2.0, 0.0, 1.0])
        field = receptive_field(lambda x: x @ w, torch.randn(5, 2, 4))
        torch.testing.assert_close(field, w.abs() / 2)

    def test_c_hierarchical_contrast_of_one_step_or_one_series(self) -> None:
        r = torch.randn(2, 5, 8, 4)
        for kind, kept in (("step", 0.0), ("series", 1.0)):
            one, two = r[:, :, :1] if kind == "step" else r[:, :1]
            torch.testing.assert_close(
                hierarchical_contrast(one, two), 0.5 * hierarchical_contrast(one, two, temporal=kept), msg=kind
            )

    def test_d_a_causal_convolution_sees_nothing_beyond_its_reach(self) -> None:
        torch.manual_seed(0)
        model = TCN(2, 64, 8, depth=2)
        reach = model.conv.receptive_field
        assert reach == 13
        field = receptive_field(model, torch.randn(3, 2, 64), output=lambda h: h[:, -1])
        assert not field[:-reach].any()
        assert (field[-reach:] > 0).all()


class TestParts:
    def test_no_target_is_in_two_parts(self) -> None:
        parts = Parts.of(torch.arange(100.0).expand(1, -1), 10, 5)
        mean, scale = torch.arange(60.0).mean(), torch.arange(60.0).std()
        for (x, y), (first, last) in zip((parts.train, parts.held, parts.test), ((10, 59), (60, 79), (80, 99)), strict=True):
            torch.testing.assert_close(torch.stack([y.min(), y.max()]) * scale + mean, torch.tensor([first, last]).float())
            torch.testing.assert_close(y[:, 0, 0] - x[:, 0, -1], torch.full((len(x),), 1 / scale.item()))

    def test_too_short(self) -> None:
        with pytest.raises(UserError, match="series of 50 steps are too short for windows of 20 and forecasts of 11"):
            Parts.of(torch.randn(1, 50), 20, 11)
        with pytest.raises(UserError, match="some are NaN"):
            Parts.of(torch.full((1, 50), torch.nan), 5, 2)


class TestStudy:
    def test_every_combination_gives_numbers_and_a_figure(self, tmp_path: Path) -> None:
        outcome = run(synthetic(200, 2, period=8), horizons=(4,), length=16, period=8, budget=SMALL, out=tmp_path)
        assert len(outcome.rows) == 3 * (1 + 3 * 4)
        assert {row.strategy for row in outcome.rows} == set(STRATEGIES)
        assert all(0 < row.mse < 10 and 0 < row.mae < 10 and row.at_period >= 0 for row in outcome.rows)
        assert all(len(curve) == 16 and max(curve) == pytest.approx(1) for curve in outcome.curves.values())
        assert len(ElementTree.fromstring(outcome.figure).findall("{*}polyline")) == len(outcome.curves) == 39
        assert json.loads((tmp_path / "rows.json").read_text())[0]["strategy"] == "supervised"
        assert {p.name for p in tmp_path.iterdir()} == {"rows.json", "curves.json", "figure.svg"}

    def test_is_the_same_again(self) -> None:
        both = [
            run(synthetic(200, 2, period=8), backbones=("tcn",), algorithms=("M+H",), horizons=(4,), length=16, budget=SMALL)
            for _ in range(2)
        ]
        assert repr(both[0].rows) == repr(both[1].rows)

    def test_learning_helps(self) -> None:
        parts = Parts.of(synthetic(600, 1, period=8), 24, 4)
        errors = []
        for steps in (0, 60):
            forecast = learned(parts, "lstm", "", "supervised", Budget(steps=steps, batch=16, width=16, lr=1e-2), seed=0)
            errors.append((forecast(parts.test[0]) - parts.test[1]).square().mean().item())
        assert errors[1] < 0.7 * errors[0]

    def test_runs_as_a_module(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = f"x {tmp_path} --backbones tcn --strategies supervised --horizons 4 --length 16 --steps 1"
        monkeypatch.setattr(sys, "argv", words.split())
        main()
        assert capsys.readouterr().out.startswith("tcn         supervised")

    def test_mistakes(self) -> None:
        with pytest.raises(UserError, match="unknown backbone 'gru'"):
            run(backbones=("gru",))
        with pytest.raises(UserError, match="unknown algorithm 'X'"):
            run(algorithms=("X",))
