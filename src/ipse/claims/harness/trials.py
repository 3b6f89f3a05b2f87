"""Runs a claim's seeds one after another, and goes on where it was stopped."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from ipse.claims.harness import kit
from ipse.claims.harness.claim import Found, load, tested
from ipse.claims.harness.kept import Kept
from ipse.claims.harness.progress import Progress
from ipse.claims.harness.record import Record, Trial
from ipse.claims.harness.spoken import spoken
from ipse.data.cache import cache_folder
from ipse.errors import Interrupted, UserError


def reproduce(key: str, *, seeds: int | None = None, out: str | Path | None = None, long: bool = False) -> str:
    """Tests a paper's claim, writes its record, and says what came of it.

    out: None is results/KEY.json where there is a folder `results`, else KEY.json. Seeds that finished before the claim was
    stopped are kept until the record is written, and not run again.
    Raises UserError for what a user can put right, most of it before any seed runs; KeyboardInterrupt when stopped by Ctrl-C,
    SystemExit with the usual status when stopped by another signal.
    """
    found = load(key)
    usual = found.claim.long_seeds if long else found.claim.seeds
    count = usual if seeds is None else seeds
    if count < 1:
        raise UserError(f"--seeds must be at least 1, not {count}")
    path = _target(found.key, out, fewer=count < usual)
    kept = Kept(cache_folder() / "claims" / f"{found.key}{'-long' if long else ''}.json")
    progress = Progress(found.key, count)
    try:
        trials = run_all(found, count, long, kept, progress)
    except (KeyboardInterrupt, Interrupted) as stop:
        progress.stop()
        if isinstance(stop, Interrupted) and stop.status != 130:
            raise SystemExit(stop.status) from None
        raise KeyboardInterrupt from None
    record = Record.of(found.key, found.claim, trials, long=long, date=datetime.now(timezone.utc).date().isoformat())
    record.write(path)
    kept.forget()
    return f"{spoken(record)}\n  result: {path}"


def run_all(found: Found, count: int, long: bool, kept: Kept, progress: Progress) -> list[Trial]:
    """The trials of seeds 0 to count - 1; those that are kept are not run again."""
    token = kit.told.set(progress.tell)
    try:
        for seed in range(count):
            if seed in kept.trials:
                progress.skip(kept.trials[seed])
                continue
            progress.begin(seed)
            start = time.perf_counter()
            values = _checked(found, seed, found.run(seed, long), kept.trials)
            trial = Trial(seed, values, time.perf_counter() - start)
            kept.keep(trial)
            progress.end(trial)
    finally:
        kit.told.reset(token)
    return [kept.trials[seed] for seed in range(count)]


def _checked(found: Found, seed: int, values: Mapping[str, float], before: Mapping[int, Trial]) -> dict[str, float]:
    """The values of a seed as plain numbers; raises UserError when a record cannot be made of them."""
    numbers = {name: float(value) for name, value in values.items()}
    if len(numbers) < tested(found.claim.kind):
        raise UserError(
            f"the claim of {found.key} is of kind {found.claim.kind} and gave too few numbers: {', '.join(numbers) or 'none'}"
        )
    if wrong := [name for name, value in numbers.items() if not math.isfinite(value)]:
        raise UserError(f"the claim of {found.key} cannot be judged: with seed {seed}, {wrong[0]} is {numbers[wrong[0]]}")
    if any(list(trial.values) != list(numbers) for trial in before.values()):
        raise UserError(f"the claim of {found.key} gave other numbers with seed {seed} than before: {', '.join(numbers)}")
    return numbers


def _target(key: str, out: str | Path | None, fewer: bool) -> Path:
    """Where the record goes; raises UserError when it cannot go there."""
    usual = Path("results") / f"{key}.json" if Path("results").is_dir() else Path(f"{key}.json")
    path = usual if out is None else Path(out)
    if out is None and fewer and path.exists():
        raise UserError(f"{path} is there already: say where the result of fewer seeds goes with --out FILE")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(
            f"cannot write {path}: {'it is a folder' if path.is_dir() else f'no folder {path.parent} that can be written'}"
        )
    return path
