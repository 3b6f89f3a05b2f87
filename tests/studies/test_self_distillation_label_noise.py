from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from ipse.errors import UserError
from ipse.studies.self_distillation_label_noise import (
    Ridge,
    corrupted,
    descended,
    digits,
    distilled,
    fitted,
    flips,
    main,
    probes,
    regression,
    run,
    softmax_fitted,
)

X, THETA = regression(12, 30)
RIDGE = Ridge.of(X, THETA)


class TestCard:
    @pytest.mark.parametrize("penalty", [0.1, 1.0, 10.0])
    @pytest.mark.parametrize("noise", [0.01, 0.1, 1.0, 100.0])
    def test_1_best_xi_is_the_minimiser_on_a_grid(self, penalty: float, noise: float) -> None:
        best = RIDGE.best(penalty, noise)
        grid = best + torch.linspace(-1, 1, 20_001, dtype=torch.float64)
        assert grid[RIDGE.error(grid, penalty, noise).argmin()].item() == pytest.approx(best, abs=1e-4)

    def test_2_without_imitation_the_student_is_the_teacher(self) -> None:
        y = X.T @ THETA + torch.linspace(-1, 1, 30, dtype=torch.float64)
        assert torch.equal(distilled(X, y, 1.0, 0.0), fitted(X, y, 1.0))

    def test_3_an_optimal_isotropic_ridge_gains_nothing(self) -> None:
        isotropic = Ridge(RIDGE.s, torch.full_like(RIDGE.s, 0.5))
        assert isotropic.best(penalty=2.0, noise=0.5) == pytest.approx(0, abs=1e-12)  # 2 * 0.5^2 = 0.5

    def test_4_high_noise_wants_more_than_one(self) -> None:
        tends_to = RIDGE.best_at_high_noise(1.0)
        assert tends_to > 1
        assert RIDGE.best(1.0, 1e9) == pytest.approx(tends_to, rel=1e-6)
        along = [RIDGE.best(1.0, noise) for noise in (0.01, 0.1, 1.0, 10.0, 100.0)]
        assert along == sorted(along)


class TestClosedForms:
    @pytest.mark.parametrize("xi", [0.0, 0.5, 1.3, -0.4])
    def test_equals_the_iterated_fit(self, xi: float) -> None:
        noise = torch.randn(30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        y = X.T @ THETA + noise
        student = distilled(X, y, 0.5, xi)
        torch.testing.assert_close(student, distilled(X, y, 0.5, xi, fit=descended), rtol=1e-6, atol=1e-6)
        u, s, v = torch.linalg.svd(X, full_matrices=False)
        a = s**2 / (s**2 + 0.5)
        parts = (1 - xi * (1 - a)) * a * (u.T @ THETA + v @ noise / s)
        torch.testing.assert_close(u.T @ student, parts, rtol=1e-6, atol=1e-6)

    def test_expected_error_is_the_mean_over_draws_of_the_noise(self) -> None:
        generator = torch.Generator().manual_seed(0)
        errors = []
        for _ in range(1500):
            y = X.T @ THETA + 0.7 * torch.randn(30, generator=generator, dtype=torch.float64)
            errors.append((distilled(X, y, 1.0, 0.8) - THETA).square().sum())
        assert RIDGE.error(0.8, 1.0, 0.49).item() == pytest.approx(float(torch.stack(errors).mean()), rel=0.05)

    def test_what_the_data_do_not_span_stays_wrong(self) -> None:
        few = X[:, :4]
        ridge = Ridge.of(few, THETA)
        assert ridge.outside > 0
        y = few.T @ THETA
        assert ridge.error(0.5, 1.0, 0.0).item() == pytest.approx(float((distilled(few, y, 1.0, 0.5) - THETA).square().sum()))

    def test_the_classifier_is_at_a_minimum_for_negative_targets_too(self) -> None:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(40, 5, generator=generator, dtype=torch.float64)
        given = torch.nn.functional.one_hot(torch.arange(40) % 3, 3).double()
        targets = 1.5 * torch.full_like(given, 1 / 3) - 0.5 * given
        w = softmax_fitted(x, targets, 0.1)
        gradient = x.T @ ((x @ w).softmax(1) - targets) / 40 + 0.1 * w
        assert gradient.abs().max() < 1e-6


def test_corrupted_labels_are_as_many_as_asked_and_wrong() -> None:
    y = torch.arange(200) % 5
    noisy = corrupted(y, 5, 0.3, seed=1)
    assert int((noisy != y).sum()) == 60
    assert noisy.max() < 5
    assert torch.equal(noisy, corrupted(y, 5, 0.3, seed=1))
    assert not torch.equal(noisy, corrupted(y, 5, 0.3, seed=2))


def test_a_student_survives_flips_that_its_teacher_does_not() -> None:
    teacher, student = flips(100, 0.1, 0.4, 0.01, seed=0)
    assert student > teacher + 0.1
    assert flips(100, 0.1, 0.02, 0.01, seed=0) == (1.0, 1.0)


def test_half_of_the_labels_wrong_want_more_than_one() -> None:
    train, test = digits(0, 300)
    teacher, (same, one, more) = probes(train, test, (0.0, 1.0, 1.5), 0.5, 1e-3, seed=0)
    assert same == pytest.approx(teacher)
    assert teacher < one < more + 0.02


def test_run_writes_its_numbers_and_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ipse.studies.self_distillation_label_noise.flips", lambda *_: (0.5, 1.0))
    train = torch.eye(20, 4, dtype=torch.float64) + 0.1, torch.arange(20) % 2
    outcome = run((train, train), xi=(0.0, 1.0), noises=(1.0,), shares=(0.2,), out=tmp_path)
    assert len(json.loads((tmp_path / "rows.json").read_text())) == len(outcome.rows) == 3 + 2 + 9
    assert (tmp_path / "figure.svg").read_text().count("<polyline") == 2
    assert outcome.rows[0].student == pytest.approx(outcome.rows[0].teacher)
    with pytest.raises(UserError, match="share of wrong labels must be from 0 to less than 1, not 1.2"):
        run(shares=(1.2,))


def test_main_prints_every_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("ipse.studies.self_distillation_label_noise.flips", lambda *_: (0.5, 1.0))
    monkeypatch.setattr(sys, "argv", ["study", str(tmp_path), "--noises", "1", "--shares", "0", "--seeds", "0"])
    main()
    assert len(capsys.readouterr().out.splitlines()) == 22 + 9
