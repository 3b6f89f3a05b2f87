"""From the words a user types to the pieces they name."""

from __future__ import annotations

import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from ipse.errors import UserError, unknown


def option(name: str) -> str:
    """A parameter's name as it is typed: `--batch-size`; that of `from_`, which Python keeps for itself, is `--from`."""
    return "--" + name.rstrip("_").replace("_", "-")


def given(words: Mapping[str, Any], job: Callable[..., Any]) -> dict[str, Any]:
    """The options among the words of a job that differ from its defaults."""
    usual = {name: p.default for name, p in inspect.signature(job).parameters.items() if p.kind is p.KEYWORD_ONLY}
    return {k: v for k, v in words.items() if k in usual and v != usual[k] and (v or usual[k])}  # [] is as good as ()


def typed(words: Mapping[str, Any], job: Callable[..., Any], *apart: str) -> dict[str, Any]:
    """The options that differ from the defaults as they would be typed, without those `apart`.

    What cannot be typed, such as an array, is its name in capitals.
    """
    return given({name: as_typed(value, name) for name, value in words.items() if name not in apart}, job)


def as_typed(value: Any, name: str) -> Any:
    """A value as it would be typed, or its name in capitals."""
    value = plain(value)
    parts = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else [value]
    return value if all(isinstance(part, (str, int, float, list, dict, type(None))) for part in parts) else name.upper()


def plain(value: Any) -> Any:
    """A value as it would be read from YAML: paths are strings, tuples are lists."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def split(words: str | Sequence[str]) -> list[str]:
    """`a,b` and [`a`, `b`] both as [`a`, `b`]."""
    words = [words] if isinstance(words, str) else words
    return [w.strip() for word in words for w in word.split(",") if w.strip()]


def weighted(words: Sequence[str]) -> dict[str, float | None]:
    """`ldreg` and `t-regs=0.1` as {"ldreg": None, "t-regs": 0.1}."""
    result: dict[str, float | None] = {}
    for word in split(words):
        key, equals, weight = word.partition("=")
        try:
            result[key] = float(weight) if equals else None
        except ValueError:
            raise UserError(f"--plus {word}: the weight must be a number, for example {key}=0.1") from None
    return result


def assignments(words: Sequence[str] | Mapping[str, Any], option: str) -> dict[str, Any]:
    """`temperature=0.1 widths=[512,512]` as a dictionary."""
    if isinstance(words, Mapping):
        return dict(words)
    result: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"{option} takes NAME=VALUE, not {word!r}")
        try:
            result[name.strip().replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"{option} {word}: cannot read the value {value!r}") from None
    return result


class Setting(NamedTuple):
    """What a keyword argument takes: its type, and what it is by default."""

    hint: Any
    default: Any


def settings_of(taker: Callable[..., Any]) -> dict[str, Setting]:
    """The keyword-only arguments of a function, or of a class: its own first, then those of the classes that it hands others on to.

    >>> class Base:
    ...     def __init__(self, *, width: int = 256, masked: float = 0.8): ...
    >>> class Derived(Base):
    ...     def __init__(self, *, masked: float = 0.5, **others: object): ...
    >>> {name: setting.default for name, setting in settings_of(Derived).items()}
    {'masked': 0.5, 'width': 256}
    """
    takers = [vars(c)["__init__"] for c in taker.__mro__ if "__init__" in vars(c)] if isinstance(taker, type) else [taker]
    settings: dict[str, Setting] = {}
    for function in takers:
        hints, parameters = typing.get_type_hints(function), inspect.signature(function).parameters.values()
        for p in parameters:
            if p.kind is p.KEYWORD_ONLY:
                settings.setdefault(p.name, Setting(hints[p.name], p.default))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return settings


def checked(taker: Callable[..., Any], values: Mapping[str, Any], owner: str, option: str = "--set") -> dict[str, Any]:
    """`values` as settings of a function or class, numbers converted to the types it declares; raises UserError for others."""
    settings = settings_of(taker)
    result = {}
    for name, value in values.items():
        if name not in settings:
            raise unknown(f"{option} name of {owner}:", name, settings)
        hint, default = settings[name]
        fitting = _fit(value, hint)
        if fitting is _NO:
            raise UserError(
                f"{option} {name}={value}: {owner} takes {_spoken(hint)} there, for example {name}={_example(default)}"
            )
        result[name] = fitting
    return result


_NO = object()


def _fit(value: Any, hint: Any) -> Any:
    """The value as the type says, or _NO."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        fitting = [f for part in typing.get_args(hint) if (f := _fit(value, part)) is not _NO]
        return fitting[0] if fitting else _NO
    if hint is type(None):
        return None if value is None else _NO
    if hint is float:
        try:
            return _NO if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            return _NO
    if origin is typing.Literal:
        return value if value in typing.get_args(hint) else _NO
    if origin is not None and issubclass(origin, Sequence):
        value = value if isinstance(value, (list, tuple)) else [value]
        parts = [_fit(v, typing.get_args(hint)[0]) for v in value]
        return _NO if _NO in parts else tuple(parts)
    if hint is int:
        return value if isinstance(value, int) and not isinstance(value, bool) else _NO
    return value if isinstance(value, hint) else _NO


def _spoken(hint: Any) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", type(None): "null"}
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_spoken(part) for part in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(map(str, typing.get_args(hint)))
    if typing.get_origin(hint) is not None:
        return "a list such as [512,512]"
    return names.get(hint, str(hint))


def _example(default: Any) -> str:
    """A default, as it would be typed."""
    text: str = yaml.safe_dump(default, default_flow_style=True)
    return text.removesuffix("\n...\n").strip().replace(" ", "")
