"""Even your teacher needs guidance: ground-truth targets dampen the regularisation of self-distillation.

Kernel ridge regression that learns again and again from  alpha * label + (1 - alpha) * its own last fit: every step and the limit
in closed form, the best alpha in closed form, and the same for small networks, where two trainings tell the alpha of a third.

Borup, Andersen, NeurIPS 2021, arXiv:2102.13088
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse import randomness
from ipse.errors import UserError
from ipse.studies.figure import lines
from ipse.studies.kept import Outcome

NOISY_SINE = (
    0.384766,
    1.233397,
    1.332322,
    0.692016,
    -0.297561,
    -0.241893,
    -0.796449,
    -0.961648,
    -0.496725,
    -0.346907,
    0.558951,
)
"""Labels at 0, 0.1, ..., 1: sin(2 pi x) with noise, those of Mobahi, Farajtabar, Bartlett, NeurIPS 2020, arXiv:2002.05715."""


GRID = tuple(i / 10 for i in range(11))


@dataclass(frozen=True)
class Row:
    """One result: of "kernel", the error on the curve without noise after `step` fits, or of "networks", the accuracy of the student at alpha."""

    part: str
    setting: str
    alpha: float
    step: int
    value: float


def gaussian(x: Tensor, z: Tensor, gamma: float) -> Tensor:
    """The kernel exp(-gamma |x - z|^2) of numbers (n,) and (m,), or vectors (n, D) and (m, D): (n, m)."""
    distance = torch.cdist(x.flatten(1) if x.dim() > 1 else x[:, None], z.flatten(1) if z.dim() > 1 else z[:, None])
    return torch.exp(-gamma * distance.square())


def refitted(kernel: Tensor, y: Tensor, penalty: float, alphas: Sequence[float], at: Tensor | None = None) -> list[Tensor]:
    """The answers of every fit, each solved anew: the first learns the labels y (n,) or (n, K), the t-th  alpha_t y + (1 - alpha_t) its last answers.

    kernel: (n, n) among the samples. alphas: of the second fit and those that follow. at: (m, n), the kernel of other places with the samples,
    where answers (m,) are wanted; those at the samples if None.
    """
    ridge = kernel + penalty * torch.eye(len(y), dtype=kernel.dtype)
    answers, target = [], y
    for alpha in (*alphas, None):
        coefficients = torch.linalg.solve(ridge, target)
        answers.append((kernel if at is None else at) @ coefficients)
        if alpha is not None:
            target = alpha * y + (1 - alpha) * (kernel @ coefficients)
    return answers


def spectral(kernel: Tensor, penalty: float, alphas: Sequence[float]) -> list[Tensor]:
    """The operators B_t (n, n) with answers B_t y at every step, out of the first fit alone.

        B_1 = A,    B_t = A (alpha_t + (1 - alpha_t) B_(t-1)),    A = K (K + penalty)^-1

    by the eigenvalues d of K, so that each is one product of numbers a = d / (d + penalty).
    """
    d, v = torch.linalg.eigh(kernel)
    a = d / (d + penalty)
    diagonal = [a]
    for alpha in alphas:
        diagonal.append(a * (alpha + (1 - alpha) * diagonal[-1]))
    return [(v * b) @ v.T for b in diagonal]


def limit(kernel: Tensor, penalty: float, alpha: float) -> Tensor:
    """What B_t tends to at a fixed alpha: d / (d + penalty / alpha), ridge regression with a larger penalty; 0 at alpha 0."""
    d, v = torch.linalg.eigh(kernel)
    operator: Tensor = (v * (alpha * d / (alpha * d + penalty))) @ v.T
    return operator


def best_alpha(truth: Tensor, labels_alone: Tensor, teacher_alone: Tensor) -> float:
    """The weight of the labels whose mixture of two predictions is nearest to the truth in squared error, from 0 to 1.

        alpha = <truth - g0, g1 - g0> / |g1 - g0|^2

    g1 `labels_alone`, g0 `teacher_alone`: what the models that learned from the labels and from the teacher alone predict,
    of the same shape as the truth. 1 where they are the same.

    >>> best_alpha(torch.tensor([1.0]), torch.tensor([2.0]), torch.tensor([0.0]))
    0.5
    """
    apart = labels_alone - teacher_alone
    size = float((apart * apart).sum())
    return min(1.0, max(0.0, float(((truth - teacher_alone) * apart).sum()) / size)) if size else 1.0


def sine(alpha: float, steps: int, penalty: float = 0.2, gamma: float = 80.0, y: Tensor | None = None) -> list[float]:
    """Mean squared errors on sin(2 pi x), at 101 places from 0 to 1, of every fit to eleven noisy values of it."""
    x, places = torch.linspace(0, 1, 11, dtype=torch.float64), torch.linspace(0, 1, 101, dtype=torch.float64)
    y = torch.tensor(NOISY_SINE, dtype=torch.float64) if y is None else y
    answers = refitted(gaussian(x, x, gamma), y, penalty, [alpha] * (steps - 1), gaussian(places, x, gamma))
    truth = torch.sin(2 * math.pi * places)
    return [float((each - truth).square().mean()) for each in answers]


@dataclass(frozen=True)
class Students:
    """Accuracies on the test part: of the teacher, of students by alpha, and the `estimate` of the best alpha from the first and the last of them."""

    teacher: float
    by_alpha: dict[float, float]
    estimate: float
    at_estimate: float


def networks(alphas: Sequence[float], share: float = 0.3, seed: int = 0, train: int = 600, steps: int = 300) -> Students:
    """Small networks on the digits that ship with scikit-learn, a share of the labels wrong, with one alpha each.

    L = alpha MSE(softmax f(x), label) + (1 - alpha) MSE(softmax f(x), teacher), with decayed weights. The estimate is taken from the
    networks of alpha 1, which is the teacher, and 0, on a part of the data that has clean labels and is not learned from.
    """
    from ipse.studies.self_distillation_label_noise import corrupted, digits

    (x, y), (other_x, other_y) = digits(seed, train)
    held, test = (other_x[:300], other_y[:300]), (other_x[300:], other_y[300:])
    given = F.one_hot(corrupted(y, 10, share, seed), 10).float()
    teacher = _network(x, given, steps, seed)
    soft = _answers(teacher, x)

    @cache
    def student(alpha: float) -> nn.Module:
        return _network(x, alpha * given + (1 - alpha) * soft, steps, seed)

    def accuracy(model: nn.Module) -> float:
        return float((_answers(model, test[0]).argmax(1) == test[1]).double().mean())

    estimate = best_alpha(F.one_hot(held[1], 10).float(), _answers(teacher, held[0]), _answers(student(0.0), held[0]))
    by_alpha = {alpha: accuracy(student(alpha)) for alpha in alphas}
    return Students(accuracy(teacher), by_alpha, estimate, accuracy(student(estimate)))


def _network(x: Tensor, targets: Tensor, steps: int, seed: int, width: int = 128) -> nn.Module:
    """Fits softmax outputs to targets (n, K) in squared error, which a mixture of two errors is but for a constant."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.key(seed, "network"))
        model = nn.Sequential(nn.Linear(x.shape[1], width), nn.ReLU(), nn.Linear(width, targets.shape[1]))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=1e-4)
    for step in range(steps):
        chance = randomness.uniform(randomness.key(seed, "batch", step), torch.arange(64), 1)[:, 0]
        chosen = (chance * len(x)).long()
        loss = (model(x[chosen].float()).softmax(1) - targets[chosen]).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def _answers(model: nn.Module, x: Tensor) -> Tensor:
    answers: Tensor = model(x.float()).softmax(1)
    return answers


def run(
    *,
    alphas: Sequence[float] = (0.0, 0.35, 1.0),
    steps: int = 25,
    penalty: float = 0.2,
    gamma: float = 80.0,
    grid: Sequence[float] = GRID,
    seeds: int = 1,
    out: str | Path | None = None,
) -> Outcome[Row]:
    """Both experiments: repeated fits to a noisy sine at each alpha, and networks at every alpha of a grid and at the estimated one.

    The curves are the kernel's test errors by step.

    out: a folder that rows.json, curves.json and figure.svg are written to. Raises UserError for an alpha outside of 0 to 1.
    """
    if wrong := [alpha for alpha in (*alphas, *grid) if not 0 <= alpha <= 1]:
        raise UserError(f"alpha, the share of the labels, must be from 0 to 1, not {wrong[0]}")
    rows: list[Row] = []
    curves: dict[str, list[float]] = {}
    for alpha in alphas:
        curve = sine(alpha, steps, penalty, gamma)
        rows += [Row("kernel", "noisy sine", alpha, step, error) for step, error in enumerate(curve, start=1)]
        curves[f"alpha {alpha:g}"] = curve
    for seed in range(seeds if grid else 0):
        found, setting = networks(grid, seed=seed), f"digits, 30% of labels wrong, seed {seed}"
        rows.append(Row("networks", f"{setting}, teacher", 1.0, 1, found.teacher))
        rows += [Row("networks", setting, alpha, 2, accuracy) for alpha, accuracy in found.by_alpha.items()]
        rows.append(Row("networks", f"{setting}, estimated alpha", found.estimate, 2, found.at_estimate))
    outcome = Outcome(rows, curves, lines(curves, "Repeated fits to a noisy sine", "fit", "error", first=1))
    if out is not None:
        outcome.keep(out)
    return outcome


def main() -> None:
    """Runs the study and writes it to a folder."""
    parser = argparse.ArgumentParser(description="Ground-truth targets dampen the regularisation of self-distillation")
    parser.add_argument("out", help="a folder for rows.json, curves.json and figure.svg")
    parser.add_argument("--alphas", nargs="+", type=float, default=(0.0, 0.35, 1.0))
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--penalty", type=float, default=0.2)
    parser.add_argument("--seeds", type=int, default=1)
    for row in run(**vars(parser.parse_args())).rows:
        print(f"{row.part:10}{row.setting:50}{row.alpha:6.2f}{row.step:4}{row.value:10.4f}")


if __name__ == "__main__":
    main()
