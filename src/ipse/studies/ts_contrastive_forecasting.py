"""What constitutes good contrastive learning in time-series forecasting?

Contrastive algorithms, ways to use them and backbones in all combinations: the errors of their forecasts, and which steps of
the past each looks at.

Zhang et al., 2023, arXiv:2306.12086
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse import randomness
from ipse.errors import UserError, unknown
from ipse.metrics.forecast import mae, mse, receptive_field
from ipse.metrics.forecasting import STRENGTHS, Ridge
from ipse.studies.figure import lines
from ipse.studies.forecast_contrast import ALGORITHMS, Contrast
from ipse.studies.forecasters import BACKBONES, Forecaster
from ipse.studies.kept import Outcome

STRATEGIES = ("supervised", "end-to-end", "fine-tune", "two-step")


@dataclass(frozen=True)
class Row:
    """One run. at_period: the strength of the receptive field at whole periods before the forecast step, over its mean."""

    backbone: str
    algorithm: str
    strategy: str
    horizon: int
    seed: int
    mse: float
    mae: float
    at_period: float


@dataclass(frozen=True)
class Budget:
    """How each model learns: equally many steps whatever the strategy."""

    steps: int = 300
    batch: int = 32
    lr: float = 1e-3
    weight: float = 0.5
    width: int = 64


def run(
    series: Tensor | None = None,
    *,
    algorithms: Sequence[str] = ALGORITHMS,
    strategies: Sequence[str] = STRATEGIES,
    backbones: Sequence[str] = BACKBONES,
    horizons: Sequence[int] = (24,),
    length: int = 192,
    period: int = 24,
    seeds: int = 1,
    budget: Budget | None = None,
    out: str | Path | None = None,
) -> Outcome[Row]:
    """Every combination on one data set: `series` (C, T), by default `synthetic`.

    algorithms: "H", TS2Vec's hierarchical contrast of the series and of itself with half of the steps hidden; "M", MoCo with a
    queue of 512; "M+H", half of each; "C", MoCo and CoST's contrast of amplitudes and phases. strategies: "supervised", the
    squared error alone; "end-to-end", (1 - weight) of it and weight of the contrast, as in the authors' code; "fine-tune", half
    of the steps for the contrast, then half for the error; "two-step", ridge regression on a backbone that learned from the
    contrast alone. All forecast from the representation of the last step. The first 60 % of the series are learned from, the
    next 20 % choose the ridge's penalty, the last 20 % are forecast. The receptive field is that of the first forecast step.
    The curves are receptive fields by lag, from 1 step before the forecast on, the mean over seeds.

    out: a folder that rows.json, curves.json and figure.svg are written to. Raises UserError for unknown words and series that
    are too short.
    """
    for kind, words, known in (
        ("algorithm", algorithms, ALGORITHMS),
        ("strategy", strategies, STRATEGIES),
        ("backbone", backbones, BACKBONES),
    ):
        for word in words:
            if word not in known:
                raise unknown(kind, word, known)
    budget, series = budget or Budget(), synthetic(period=period) if series is None else series
    rows: list[Row] = []
    looks: dict[str, list[Tensor]] = {}
    for horizon, seed, backbone in product(horizons, range(seeds), backbones):
        data = Parts.of(series, length, horizon)
        for strategy, algorithm in ((s, a) for s in strategies for a in (("",) if s == "supervised" else algorithms)):
            forecast = learned(data, backbone, algorithm, strategy, budget, seed)
            look = receptive_field(forecast, data.test[0][:16], output=lambda y: y[:, :, 0]).flip(0)
            with torch.no_grad():
                made = torch.cat([forecast(x) for x in data.test[0].split(256)])
            at_period = (look[period - 1 :: period].mean() / look.mean()).item() if look.any() else math.nan
            errors = mse(made, data.test[1]), mae(made, data.test[1])
            rows.append(Row(backbone, algorithm, strategy, horizon, seed, *errors, at_period))
            looks.setdefault(" ".join(filter(None, (backbone, strategy, algorithm))), []).append(look)
    curves = {name: torch.stack(each).mean(dim=0).tolist() for name, each in looks.items()}
    outcome = Outcome(rows, curves, lines(curves, "What forecasts look at", "steps before the forecast", "", first=1))
    if out is not None:
        outcome.keep(out)
    return outcome


def synthetic(steps: int = 3000, channels: int = 3, period: int = 24, seed: int = 0) -> Tensor:
    """Hourly loads (C, T): a day and a week, a scale that drifts from day to day, a trend and noise."""
    position, t = torch.arange(channels), torch.arange(steps)
    phase, trend = (randomness.uniform(randomness.key(seed, name), position, 1) for name in ("phase", "trend"))
    drift = randomness.normal(randomness.key(seed, "drift"), position, steps).cumsum(1) * 0.3 / math.sqrt(7 * period)
    noise = randomness.normal(randomness.key(seed, "noise"), position, steps)
    day, week = (torch.sin(2 * math.pi * (t / n + phase)) for n in (period, 7 * period))
    return (drift.clamp(-1.5, 1.5)).exp() * (day + 0.5 * week) + trend * t / steps + 0.2 * noise


@dataclass(frozen=True)
class Parts:
    """Windows (N, C, length) and what follows them (N, C, horizon), standardised by the training part, which is cut at every step."""

    train: tuple[Tensor, Tensor]
    held: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, series: Tensor, length: int, horizon: int, most: int = 512) -> Parts:
        """most: windows of the other two parts, evenly spread. A window may begin in the part before, what follows it does not."""
        if series.isnan().any():
            raise UserError("the study takes series (C, T) without missing values, and some are NaN: fill them in first")
        n = series.shape[1]
        first, second = n * 6 // 10, n * 8 // 10
        if min(first - length, second - first, n - second) < horizon:
            raise UserError(f"series of {n} steps are too short for windows of {length} and forecasts of {horizon}")
        known = series[:, :first]
        x = (series - known.mean(dim=1, keepdim=True)) / known.std(dim=1, keepdim=True).clamp_min(1e-6)
        windows = x.unfold(1, length + horizon, 1).transpose(0, 1)

        def part(begin: int, end: int, most: int) -> tuple[Tensor, Tensor]:
            every = windows[begin - length : end - length - horizon + 1] if begin else windows[: end - length - horizon + 1]
            chosen = every[torch.linspace(0, len(every) - 1, min(most, len(every))).long()]
            return chosen[..., :length], chosen[..., length:]

        return cls(part(0, first, n), part(first, second, most), part(second, n, most))


def learned(data: Parts, backbone: str, algorithm: str, strategy: str, budget: Budget, seed: int) -> Callable[[Tensor], Tensor]:
    """The forecast that was learned: windows (B, C, length) to (B, C, horizon), differentiable."""
    (_, channels, length), horizon = data.train[0].shape, data.train[1].shape[2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.key(seed, backbone))
        model = Forecaster(backbone, channels, length, horizon, budget.width)
        contrast = Contrast(algorithm, model.backbone, budget.width) if algorithm else None
    half = budget.steps // 2
    if strategy == "fine-tune":
        _learn(model, contrast, data, budget, weight=1.0, seed=seed, start=0, stop=half)
        _learn(model, None, data, budget, weight=0.0, seed=seed, start=half, stop=budget.steps)
    else:
        weight = {"supervised": 0.0, "end-to-end": budget.weight, "two-step": 1.0}[strategy]
        _learn(model, contrast, data, budget, weight=weight, seed=seed, start=0, stop=budget.steps)
    model.eval()
    return _regressed(model, data) if strategy == "two-step" else model


def _learn(
    model: Forecaster,
    contrast: Contrast | None,
    data: Parts,
    budget: Budget,
    *,
    weight: float,
    seed: int,
    start: int,
    stop: int,
) -> None:
    """Steps on (1 - weight) of the squared error and weight of the contrast; which windows a step sees depends on seed and step."""
    modules = nn.ModuleList([model, *([contrast] if contrast else [])])
    optimizer = torch.optim.Adam([p for p in modules.parameters() if p.requires_grad], lr=budget.lr)
    position = torch.arange(budget.batch)
    for step in range(start, stop):
        u = randomness.uniform(randomness.key(seed, "windows", step), position, 1)[:, 0]
        x, y = (part[(u * len(part)).long()] for part in data.train)
        h = model.backbone(x)
        loss = (1 - weight) * F.mse_loss(model.read(h), y)
        if contrast is not None:
            loss = loss + weight * contrast(x, h, model.backbone, randomness.key(seed, "contrast", step))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def _regressed(model: Forecaster, data: Parts) -> Callable[[Tensor], Tensor]:
    """The forecast by ridge regression on the backbone as it is, its penalty the best on the part between."""

    def represented(x: Tensor) -> Tensor:
        last: Tensor = model.backbone(x)[:, -1].double()
        return last

    with torch.no_grad():
        fit, held = (torch.cat([represented(piece) for piece in part[0].split(256)]) for part in (data.train, data.held))
        y, y_held = (part[1].flatten(1).double() for part in (data.train, data.held))
        ridge = Ridge(fit, y, STRENGTHS)
        best = min(range(len(STRENGTHS)), key=lambda i: mse(ridge(held, i), y_held))
    return lambda x: ridge(represented(x), best).float().unflatten(1, data.train[1].shape[1:])


def main() -> None:
    """Runs a part of the study and writes it to a folder."""
    parser = argparse.ArgumentParser(description="What constitutes good contrastive learning in time-series forecasting?")
    parser.add_argument("out", help="a folder for rows.json, curves.json and figure.svg")
    parser.add_argument("--algorithms", nargs="+", default=ALGORITHMS)
    parser.add_argument("--strategies", nargs="+", default=STRATEGIES)
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--horizons", nargs="+", type=int, default=(24,))
    parser.add_argument("--length", type=int, default=192)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    words = vars(parser.parse_args())
    for row in run(budget=Budget(steps=words.pop("steps")), **words).rows:
        print(f"{row.backbone:12}{row.strategy:12}{row.algorithm:5}{row.horizon:5}{row.seed:3}{row.mse:8.4f}{row.mae:8.4f}")


if __name__ == "__main__":
    main()
