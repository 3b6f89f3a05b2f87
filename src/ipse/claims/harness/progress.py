"""What a claim says on stderr while it runs."""

from __future__ import annotations

import sys
import time

from ipse.claims.harness.record import Trial
from ipse.claims.harness.spoken import counted, minutes, plain


class Progress:
    """One line for every seed and every arm: which it is, how long the claim has run, and how long the rest will take."""

    def __init__(self, key: str, seeds: int):
        self.key, self.seeds = key, seeds
        self.finished: list[float] = []  # seconds of every seed
        self.start = time.perf_counter()

    def skip(self, trial: Trial) -> None:
        """A seed has its values already."""
        self.finished.append(trial.seconds)
        self.say(f"seed {trial.seed}: kept from before")

    def begin(self, seed: int) -> None:
        """A seed begins."""
        self.seed, self.start = seed, time.perf_counter()

    def tell(self, text: str) -> None:
        """An arm of the seed begins."""
        gone, done = time.perf_counter() - self.start, len(self.finished)
        spent = f"{minutes(sum(self.finished) + gone)} gone"
        if done:
            each = sum(self.finished) / done
            spent += f", about {minutes(max(0.0, each - gone) + each * (self.seeds - done - 1))} left"
        self.say(f"seed {self.seed} ({done + 1} of {self.seeds}): {text} ({spent})")

    def end(self, trial: Trial) -> None:
        """A seed has ended."""
        self.finished.append(trial.seconds)
        self.say(f"seed {trial.seed}: " + ", ".join(f"{name} {plain(value)}" for name, value in trial.values.items()))

    def stop(self) -> None:
        """The claim is stopped before its last seed has ended."""
        kept = f", {counted(len(self.finished), 'finished seed')} kept: the same command goes on from there"
        self.say(f"stopped{kept if self.finished else ''}")

    def say(self, text: str) -> None:
        """One line."""
        print(f"{self.key}: {text}", file=sys.stderr, flush=True)
