"""Errors that a user can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake of the user's: one line that says what is wrong and what to do."""


class Interrupted(Exception):
    """A run was stopped by the user, after its state was saved. `status` is the exit status by convention: 128 + the signal's number.

    folder, job: the run, and the verb that goes on with it.
    """

    def __init__(self, status: int, folder: str = "", job: str = "pretrain"):
        super().__init__(status, folder, job)
        self.status, self.folder, self.job = status, folder, job


def unknown(kind: str, word: str, known: Iterable[str]) -> UserError:
    """The error for a name that does not exist, with the nearest one that does."""
    names = sorted(known)
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names[:30])}{', ...' if len(names) > 30 else ''}"
    return UserError(f"unknown {kind} {word!r}: {hint}")


def requires(extra: str, what: str) -> UserError:
    """The error for a feature whose optional package is not installed."""
    return UserError(f"{what} needs an extra: pip install 'ipse[{extra}]'")


def first_line(error: Exception) -> str:
    """What went wrong, in one short line."""
    return next(iter(str(error).splitlines()), type(error).__name__)[:120]
