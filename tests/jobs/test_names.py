"""From the words a user types to the pieces they name."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ipse import papers
from ipse.errors import UserError
from ipse.jobs.names import assignments, checked, settings_of, split, typed, weighted


def settings(
    self: object,
    encoder: object,
    *,
    temperature: float = 0.5,
    hidden: int | None = None,
    widths: Sequence[int] = (64, 64),
    range: tuple[float, float] = (0.5, 1.0),
    norm: bool = True,
    target: str = "pixels",
) -> None:
    """A method's constructor."""


def test_lists() -> None:
    assert split("a, b") == split(["a,b"]) == split(["a", "b", ""]) == ["a", "b"]
    assert split(()) == []


def test_weights() -> None:
    assert weighted(["ldreg", "t-regs=0.1,x=2"]) == {"ldreg": None, "t-regs": 0.1, "x": 2.0}
    assert weighted("ldreg") == {"ldreg": None}
    with pytest.raises(UserError, match="--plus ldreg=much: the weight must be a number, for example ldreg=0.1"):
        weighted(["ldreg=much"])


def test_assignments() -> None:
    words = ["temperature=1e-3", "widths=[512,512]", "ema-decay=0.9", "hidden=null", "target=a=b"]
    expected = {"temperature": "1e-3", "widths": [512, 512], "ema_decay": 0.9, "hidden": None, "target": "a=b"}
    assert assignments(words, "--set") == expected
    assert assignments({"temperature": 1}, "--set") == {"temperature": 1}
    for word, expected_text in (("temperature", "NAME=VALUE"), ("widths=[1", "cannot read the value")):
        with pytest.raises(UserError, match=expected_text):
            assignments([word], "--set")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("temperature", 1, 1.0),
        ("temperature", "1e-3", 0.001),  # what YAML 1.1 makes of 1e-3 is a word
        ("hidden", 8, 8),
        ("hidden", None, None),
        ("widths", [8, 16], (8, 16)),
        ("widths", 8, (8,)),
        ("range", ["1e-1", 1], (0.1, 1.0)),
        ("norm", False, False),
        ("target", "tokens", "tokens"),
    ],
)
def test_values_of_the_right_type(name: str, value: Any, expected: Any) -> None:
    result = checked(settings, {name: value}, "method")
    assert result == {name: expected}
    assert type(result[name]) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("temperature", "warm", "takes a number there, for example temperature=0.5"),
        ("temperature", True, "a number"),
        ("hidden", 1.5, "a whole number or null there, for example hidden=null"),
        ("hidden", True, "a whole number"),
        ("widths", [8, "x"], r"a list such as \[512,512\] there, for example widths=\[64,64\]"),
        ("norm", 1, "true or false there, for example norm=true"),
        ("target", 3, "a word there, for example target=pixels"),
        ("temprature", 0.1, "did you mean 'temperature'"),
        ("encoder", 0.1, "unknown --set name of method"),
    ],
)
def test_values_of_the_wrong_type(name: str, value: Any, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        checked(settings, {name: value}, "method")


@pytest.mark.parametrize("paper", [p for p in papers.everything().values() if p.role == "method"], ids=lambda p: p.key)
def test_the_defaults_of_every_method_fit_its_types(paper: papers.Paper) -> None:
    method = papers.load(paper.key, "method")
    defaults = {name: setting.default for name, setting in settings_of(method).items()}
    assert checked(method, defaults, paper.key) == defaults
    for name in defaults:
        with pytest.raises(UserError, match=f"{paper.key} takes .* there, for example {name}="):
            checked(method, {name: object()}, paper.key)


class Base:
    def __init__(self, encoder: object, *, width: int = 256, masked: float = 0.8, **options: Any) -> None:
        assert not options


class Middle(Base):
    def __init__(self, encoder: object, *, masked: float = 0.5, **others: Any) -> None:
        super().__init__(encoder, masked=masked, **others)


class Unchanged(Middle):
    pass


class Derived(Unchanged):
    def __init__(self, encoder: object, *, bank: int = 9, **others: Any) -> None:
        super().__init__(encoder, **others)


class Closed(Derived):
    def __init__(self, encoder: object, *, span: int = 10) -> None:
        super().__init__(encoder, bank=span)


def test_settings_of_base_classes_are_those_of_a_class_that_hands_others_on() -> None:
    assert {name: s.default for name, s in settings_of(Derived).items()} == {"bank": 9, "masked": 0.5, "width": 256}
    assert list(settings_of(Derived)) == ["bank", "masked", "width"]
    assert list(settings_of(Unchanged)) == ["masked", "width"]
    assert list(settings_of(Closed)) == ["span"]
    assert checked(Derived, {"width": 8, "masked": 1}, "derived") == {"width": 8, "masked": 1.0}
    with pytest.raises(UserError, match="derived takes a number there, for example masked=0.5"):
        checked(Derived, {"masked": "much"}, "derived")
    with pytest.raises(UserError, match="unknown --set name of derived: 'encoder': known: bank, masked, width"):
        checked(Derived, {"encoder": 1}, "derived")


def test_words_as_they_would_be_typed() -> None:
    def job(data: object, *, pool: object = None, set: object = (), seed: int = 0, out: object = None) -> None: ...

    words = {"data": "photos", "pool": np.zeros(3), "set": {"widths": (8, 8)}, "seed": 0, "out": Path("runs/one")}
    assert typed(words, job) == {"pool": "POOL", "set": {"widths": [8, 8]}, "out": "runs/one"}
    assert typed(words, job, "out", "pool") == {"set": {"widths": [8, 8]}}
    assert typed(words | {"pool": (np.zeros(3), np.zeros(3)), "set": []}, job, "out") == {"pool": "POOL"}


def test_the_jobs_that_learn_mean_the_same_by_the_same_word() -> None:
    from ipse.jobs.distill import distill
    from ipse.jobs.pretrain import pretrain
    from ipse.jobs.selftrain import selftrain

    first, second, third = (
        {name: (p.annotation, p.default, p.kind) for name, p in inspect.signature(job).parameters.items()}
        for job in (pretrain, selftrain, distill)
    )
    own = {"data", "method"}  # differ by default
    assert {name: first[name] for name in first.keys() & second.keys() - own} == {
        name: second[name] for name in first.keys() & second.keys() - own
    }
    assert len(first.keys() & third.keys() - own) == 25
    for name in (first.keys() | second.keys()) & third.keys() - own - {"from_"}:
        assert third[name] == (first.get(name) or second[name]), name
