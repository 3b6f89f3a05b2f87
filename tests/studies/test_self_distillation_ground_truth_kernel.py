from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from ipse.errors import UserError
from ipse.studies.self_distillation_ground_truth_kernel import (
    NOISY_SINE,
    best_alpha,
    gaussian,
    limit,
    main,
    networks,
    refitted,
    run,
    sine,
    spectral,
)

PLACES = torch.linspace(0, 1, 11, dtype=torch.float64)
KERNEL = gaussian(PLACES, PLACES, 80.0)
Y = torch.tensor(NOISY_SINE, dtype=torch.float64)


class TestCard:
    @pytest.mark.parametrize("alpha", [0.1, 0.35, 0.9])
    def test_1_it_ends_at_ridge_regression_with_a_larger_penalty(self, alpha: float) -> None:
        last = refitted(KERNEL, Y, 0.2, [alpha] * 400)[-1]
        (ridge,) = refitted(KERNEL, Y, 0.2 / alpha, [])
        torch.testing.assert_close(last, ridge, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(limit(KERNEL, 0.2, alpha) @ Y, ridge, rtol=1e-12, atol=1e-12)

    def test_2_labels_alone_change_nothing_and_none_collapse(self) -> None:
        first, *others = refitted(KERNEL, Y, 0.2, [1.0] * 4)
        for each in others:
            torch.testing.assert_close(each, first)
        a = spectral(KERNEL, 0.2, [])[0]
        for t, answers in enumerate(refitted(KERNEL, Y, 0.2, [0.0] * 5), start=1):
            torch.testing.assert_close(answers, torch.linalg.matrix_power(a, t) @ Y)
        assert not limit(KERNEL, 0.2, 0.0).any()

    def test_3_the_spectral_recursion_is_the_refits(self) -> None:
        alphas = [0.1, 0.7, 0.35, 0.0, 1.0, 0.5]
        for operator, answers in zip(spectral(KERNEL, 0.2, alphas), refitted(KERNEL, Y, 0.2, alphas), strict=True):
            torch.testing.assert_close(operator @ Y, answers, rtol=1e-6, atol=1e-6)

    def test_3_small_eigenvalues_shrink_fastest(self) -> None:
        shares = torch.stack([torch.linalg.eigvalsh(b) for b in spectral(KERNEL, 0.2, [0.2] * 5)])
        assert (shares.diff(dim=0) < 0).all()
        fallen = shares[-1] / shares[0]
        assert (fallen.diff() > 0).all()

    def test_4_best_alpha_is_the_minimiser_on_a_grid(self) -> None:
        held = torch.linspace(0.05, 0.95, 10, dtype=torch.float64)
        truth, at = torch.sin(2 * torch.pi * held), gaussian(held, PLACES, 80.0)
        labels_alone = refitted(KERNEL, Y, 0.2, [], at)[0]
        teacher_alone = refitted(KERNEL, Y, 0.2, [0.0], at)[1]
        found = best_alpha(truth, labels_alone, teacher_alone)
        grid = torch.linspace(0, 1, 10_001, dtype=torch.float64)
        errors = torch.stack([(refitted(KERNEL, Y, 0.2, [float(a)], at)[1] - truth).square().mean() for a in grid[::100]])
        mixed = grid[:, None] * labels_alone + (1 - grid[:, None]) * teacher_alone
        assert grid[(mixed - truth).square().mean(1).argmin()].item() == pytest.approx(found, abs=1e-4)
        assert grid[::100][errors.argmin()].item() == pytest.approx(found, abs=0.01)


def test_the_noisy_sine_of_the_authors() -> None:
    collapsing, guided = sine(0.0, 60), sine(0.35, 60)
    assert collapsing[0] == pytest.approx(0.165, abs=5e-4)
    assert min(collapsing) == pytest.approx(0.149, abs=5e-4)
    assert collapsing[-1] == pytest.approx(0.495, abs=2e-3)
    assert guided[0] == pytest.approx(0.165, abs=5e-4)
    assert guided[-1] == pytest.approx(0.150, abs=5e-4)
    assert sine(0.0, 400)[-1] == pytest.approx(0.495, abs=5e-4)  # the mean square of the sine at 101 places


def test_best_alpha_is_a_share() -> None:
    one, zero = torch.ones(3), torch.zeros(3)
    assert best_alpha(torch.full((3,), 0.25), one, zero) == pytest.approx(0.25)
    assert (best_alpha(2 * one, one, zero), best_alpha(-one, one, zero), best_alpha(one, one, one)) == (1, 0, 1)


def test_networks_learn_in_spite_of_wrong_labels() -> None:
    found = networks([0.0, 1.0], train=200, steps=40)
    assert found.by_alpha[1.0] == found.teacher > 0.5
    assert 0 <= found.estimate <= 1
    assert found.at_estimate > 0.5


def test_run_writes_its_numbers_and_its_figure(tmp_path: Path) -> None:
    outcome = run(steps=4, grid=(), out=tmp_path)
    assert len(json.loads((tmp_path / "rows.json").read_text())) == len(outcome.rows) == 3 * 4
    assert (tmp_path / "figure.svg").read_text().count("<polyline") == 3
    assert json.loads((tmp_path / "curves.json").read_text())["alpha 1"] == pytest.approx([outcome.rows[-1].value] * 4)
    with pytest.raises(UserError, match="from 0 to 1, not 1.5"):
        run(alphas=(1.5,))


def test_main_prints_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["study", str(tmp_path), "--alphas", "0.5", "--steps", "2", "--seeds", "0"])
    main()
    assert len(capsys.readouterr().out.splitlines()) == 2
