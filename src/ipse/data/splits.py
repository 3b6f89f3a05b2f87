"""Which parts of a data set are for training and which one is for testing, by what they are called."""

from __future__ import annotations

import re
from collections.abc import Iterable

TESTS = ("test", "val", "valid", "validation")


def choose(names: Iterable[str]) -> tuple[str, str | None]:
    """The names of the training and of the test part: `train`, or what is left when the test part is taken away."""
    names = list(names)
    test = next((name for word in TESTS for name in names if name.lower() == word), None) if len(names) > 1 else None
    rest = [name for name in names if name != test]
    return next((name for name in rest if name.lower() == "train"), rest[0]), test


def by_word(files: Iterable[str]) -> dict[str, list[str]]:
    """Files by the part that a word of their path names, such as `data/test-00000-of-00001.parquet`; `train` without one."""
    parts: dict[str, list[str]] = {}
    for file in files:
        words = re.split(r"[^a-z]+", file.lower())
        parts.setdefault(next((word for word in TESTS if word in words), "train"), []).append(file)
    return parts
