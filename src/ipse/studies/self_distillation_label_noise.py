"""Understanding self-distillation in the presence of label noise.

A student that learns  xi * teacher + (1 - xi) * given label  from a teacher of its own kind: the best xi of ridge regression in closed
form, classifiers with wrong labels at every xi, and how many wrong labels a student survives that its teacher does not.

Das, Sanghavi, ICML 2023, arXiv:2301.13304. The paper was known by its results; its formulas are derived here anew and tested
against fits, and the sizes of the experiments are this study's own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ipse import randomness
from ipse.errors import UserError
from ipse.studies.figure import lines
from ipse.studies.kept import Outcome

XI = tuple(i / 10 for i in range(21))


@dataclass(frozen=True)
class Row:
    """One result: of "regression", "classification" or "flips", in a `setting`, at the weight `xi` of the teacher."""

    part: str
    setting: str
    xi: float
    teacher: float
    student: float


@dataclass(frozen=True)
class Ridge:
    """Ridge regression in the directions of its data X (d, n): singular values s (r,), the truth's part t (r,) in each, and what lies outside.

    With a_j = s_j^2 / (s_j^2 + penalty) and c_j = 1 - a_j, the student's part in direction j is (1 - xi c_j) a_j (t_j + noise_j / s_j).
    """

    s: Tensor
    t: Tensor
    outside: float = 0.0

    @classmethod
    def of(cls, x: Tensor, theta: Tensor) -> Ridge:
        """That of the data x (d, n), one sample a column, and the truth theta (d,)."""
        u, s, _ = torch.linalg.svd(x, full_matrices=False)
        kept = s > 1e-12 * s.max()
        t = u[:, kept].T @ theta
        return cls(s[kept], t, float(theta @ theta - t @ t))

    def error(self, xi: float | Tensor, penalty: float, noise: float) -> Tensor:
        """The expected squared distance of the student from the truth, for labels with a `noise` of that variance each.

        sum over j of  ((1 - xi c_j) a_j - 1)^2 t_j^2 + (1 - xi c_j)^2 a_j^2 noise / s_j^2,  and what lies outside; of the shape of xi.
        """
        xi = torch.as_tensor(xi, dtype=self.s.dtype)[..., None]
        a = self.s**2 / (self.s**2 + penalty)
        part = (1 - xi * (1 - a)) * a
        return ((part - 1) ** 2 * self.t**2 + part**2 * noise / self.s**2).sum(-1) + self.outside

    def best(self, penalty: float, noise: float) -> float:
        """The xi whose student has the least expected error; above 1 where labels are noisy enough.

        xi = sum_j s_j^2 (noise - penalty t_j^2) / (penalty + s_j^2)^3  /  [ penalty sum_j s_j^2 (noise + s_j^2 t_j^2) / (penalty + s_j^2)^4 ]
        """
        b, e = self.s**2, penalty + self.s**2
        above = (b * (noise - penalty * self.t**2) / e**3).sum()
        return float(above / (penalty * (b * (noise + b * self.t**2) / e**4).sum()))

    def best_at_high_noise(self, penalty: float) -> float:
        """What `best` tends to as the noise grows: more than 1."""
        b, e = self.s**2, penalty + self.s**2
        return float((b / e**3).sum() / (penalty * (b / e**4).sum()))


def fitted(x: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """Ridge regression (d,) of targets (n,) on x (d, n): what minimises |x^T theta - targets|^2 / 2 + penalty |theta|^2 / 2."""
    theta: Tensor = torch.linalg.solve(x @ x.T + penalty * torch.eye(len(x), dtype=x.dtype), x @ targets)
    return theta


def distilled(
    x: Tensor, y: Tensor, penalty: float, xi: float, fit: Callable[[Tensor, Tensor, float], Tensor] = fitted
) -> Tensor:
    """The student (d,): fitted as its teacher was, to xi times the teacher's answers and 1 - xi times the labels."""
    return fit(x, xi * (x.T @ fit(x, y, penalty)) + (1 - xi) * y, penalty)


def descended(x: Tensor, targets: Tensor, penalty: float, tolerance: float = 1e-12) -> Tensor:
    """The same as `fitted` by conjugate gradients, step by step."""
    theta, residual = torch.zeros_like(x[:, 0]), x @ targets
    direction, size = residual.clone(), residual @ residual
    enough = tolerance**2 * size
    for _ in range(20 * len(x)):
        if size <= enough:
            break
        bent = x @ (x.T @ direction) + penalty * direction
        step = size / (direction @ bent)
        theta, residual = theta + step * direction, residual - step * bent
        before, size = size, residual @ residual
        direction = residual + size / before * direction
    return theta


def softmax_fitted(x: Tensor, targets: Tensor, penalty: float, steps: int = 100) -> Tensor:
    """Linear classifier (D, K) of x (N, D) with targets (N, K), which may be negative but add up to 1 in each row.

    What minimises  mean of -targets . log softmax(x W) + penalty |W|^2 / 2,  a convex function for any such targets, by L-BFGS.
    """
    w = torch.zeros(x.shape[1], targets.shape[1], dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], max_iter=steps, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = -(targets * (x @ w).log_softmax(1)).sum(1).mean() + penalty / 2 * (w * w).sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return w.detach()


def corrupted(y: Tensor, classes: int, share: float, seed: int) -> Tensor:
    """The labels (N,), exactly that share of them replaced by another class each, all others alike."""
    chance = randomness.uniform(randomness.key(seed, "corrupted"), torch.arange(len(y)), 2)
    wrong = chance[:, 0].argsort()[: round(share * len(y))]
    other = (y + 1 + (chance[:, 1] * (classes - 1)).long()) % classes
    noisy = y.clone()
    noisy[wrong] = other[wrong]
    return noisy


def probes(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], xi: Sequence[float], share: float, penalty: float, seed: int
) -> tuple[float, list[float]]:
    """Accuracies on the test part of a linear teacher and of its students at each xi; a share of the labels learned from is wrong.

    train, test: features (N, D) and labels (N,). The teacher's answers are its probabilities at temperature 1.
    """
    x, y = train
    classes = int(y.max()) + 1
    given = torch.nn.functional.one_hot(corrupted(y, classes, share, seed), classes).to(x.dtype)
    teacher = softmax_fitted(x, given, penalty)
    soft = (x @ teacher).softmax(1)

    def accuracy(w: Tensor) -> float:
        return float(((test[0] @ w).argmax(1) == test[1]).double().mean())

    return accuracy(teacher), [accuracy(softmax_fitted(x, v * soft + (1 - v) * given, penalty)) for v in xi]


def flips(n: int, alike: float, share: float, penalty: float, seed: int) -> tuple[float, float]:
    """Shares of n samples of two classes that a teacher, and a student of its soft answers alone, name right in spite of flipped labels.

    The features of a class share the cosine `alike` with each other and none with those of the other class; both models are
    judged by the true labels of the samples they learned from.
    """
    y = torch.arange(n) % 2
    common = torch.nn.functional.one_hot(y, 2).double() * alike**0.5
    x = torch.cat([common, (1 - alike) ** 0.5 * torch.eye(n, dtype=torch.float64)], dim=1)
    given = torch.nn.functional.one_hot(corrupted(y, 2, share, seed), 2).double()
    teacher = softmax_fitted(x, given, penalty)
    student = softmax_fitted(x, (x @ teacher).softmax(1), penalty)
    right = [float(((x @ w).argmax(1) == y).double().mean()) for w in (teacher, student)]
    return right[0], right[1]


def regression(d: int = 50, n: int = 100, decay: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Data x (d, n), whose directions shrink as 1 / j^decay, and a truth (d,) that lies in the first ones above all."""
    position = torch.arange(d)
    draw = randomness.normal(randomness.key(seed, "data"), position, n).double()
    scale = (position + 1.0).double() ** -decay
    theta = randomness.normal(randomness.key(seed, "truth"), position, 1)[:, 0].double() * scale
    return scale[:, None] * draw, theta / theta.norm()


def run(
    features: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    *,
    xi: Sequence[float] = XI,
    noises: Sequence[float] = (0.1, 1.0, 10.0),
    penalty: float = 1.0,
    shares: Sequence[float] = (0.3, 0.5),
    seeds: int = 1,
    out: str | Path | None = None,
) -> Outcome[Row]:
    """All three experiments.

    Regression (50 directions, 100 samples): the expected errors of teacher and student at each xi, in curves that are relative to the
    teacher, and at the best xi. Classification of `features` (training and test part, (N, D) and labels each; by default the
    digits that ship with scikit-learn): at each xi, with a share of the labels wrong. Flips: at xi 1 with 5, 10, ... 45 % of them wrong. xi: evenly spaced.
    The rows of regression have expected squared errors, the others accuracies on clean labels; the curves go over xi.

    out: a folder that rows.json, curves.json and figure.svg are written to. Raises UserError for shares outside of 0 to 1.
    """
    if wrong := [share for share in shares if not 0 <= share < 1]:
        raise UserError(f"the share of wrong labels must be from 0 to less than 1, not {wrong[0]}")
    rows: list[Row] = []
    curves: dict[str, list[float]] = {}
    for noise in noises:
        ridge = Ridge.of(*regression())
        best, setting = ridge.best(penalty, noise), f"noise {noise:g}"
        errors = ridge.error(torch.tensor([*xi, best], dtype=torch.float64), penalty, noise)
        teacher = float(ridge.error(0.0, penalty, noise))
        rows += [Row("regression", setting, v, teacher, e) for v, e in zip((*xi, best), errors.tolist(), strict=True)]
        curves[f"error over the teacher's, {setting} (best xi {best:.2f})"] = (errors[:-1] / teacher).tolist()
    for share in shares if seeds else ():
        right = []
        for seed in range(seeds):
            train, test = features or digits(seed)
            teacher, students = probes(train, test, xi, share, 1e-3, seed)
            rows += [
                Row("classification", f"{share:.0%} wrong, seed {seed}", v, teacher, s)
                for v, s in zip(xi, students, strict=True)
            ]
            right.append(students)
        curves[f"accuracy, {share:.0%} of labels wrong"] = torch.tensor(right).mean(0).tolist()
    for percent in range(5, 50, 5):
        teacher, student = flips(200, 0.1, percent / 100, 0.01, 0)
        rows.append(Row("flips", f"{percent} % flipped", 1.0, teacher, student))
    step = (xi[-1] - xi[0]) / max(len(xi) - 1, 1)
    outcome = Outcome(rows, curves, lines(curves, "Students by the weight of their teacher", "xi", "", first=xi[0], step=step))
    if out is not None:
        outcome.keep(out)
    return outcome


def digits(seed: int = 0, train: int = 500) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The digits that ship with scikit-learn as features (N, 65), pixels from 0 to 1 and a constant, drawn anew for every seed."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    x = torch.cat([torch.from_numpy(pixels) / 16, torch.ones(len(pixels), 1, dtype=torch.float64)], dim=1)
    y = torch.from_numpy(labels)
    order = randomness.uniform(randomness.key(seed, "digits"), torch.arange(len(y)), 1)[:, 0].argsort()
    return (x[order[:train]], y[order[:train]]), (x[order[train:]], y[order[train:]])


def main() -> None:
    """Runs the study and writes it to a folder."""
    parser = argparse.ArgumentParser(description="Understanding self-distillation in the presence of label noise")
    parser.add_argument("out", help="a folder for rows.json, curves.json and figure.svg")
    parser.add_argument("--noises", nargs="+", type=float, default=(0.1, 1.0, 10.0))
    parser.add_argument("--shares", nargs="+", type=float, default=(0.3, 0.5))
    parser.add_argument("--penalty", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=1)
    for row in run(**vars(parser.parse_args())).rows:
        print(f"{row.part:15}{row.setting:22}{row.xi:6.2f}{row.teacher:10.4f}{row.student:10.4f}")


if __name__ == "__main__":
    main()
