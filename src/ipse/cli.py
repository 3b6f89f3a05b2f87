"""The command line: one command per job, its options read off the job's signature."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from ipse import __version__
from ipse.errors import Interrupted, UserError, unknown

JOBS = {
    "pretrain": "ipse.jobs.pretrain:pretrain",
    "evaluate": "ipse.jobs.evaluate:evaluate",
    "embed": "ipse.jobs.embed:embed",
    "export": "ipse.jobs.export:export",
    "report": "ipse.jobs.report:report",
    "papers": "ipse.jobs.papers:papers",
    "methods": "ipse.jobs.papers:methods",
    "reproduce": "ipse.jobs.reproduce:reproduce",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits: 0, 2 for a mistake of the user's (one line on stderr), 130 for Ctrl-C."""
    try:
        sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))
    except UserError as e:
        print(f"ipse: error: {e}", file=sys.stderr)
        sys.exit(2)
    except Interrupted as e:
        print(f"ipse: stopped and saved; go on with: ipse pretrain --resume {e.folder}", file=sys.stderr)
        sys.exit(e.status)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _run(arguments: list[str]) -> int:
    word = arguments[0] if arguments else "--help"
    if word in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if word in ("-V", "--version"):
        print(f"ipse {__version__}")
        return 0
    if word not in JOBS:
        raise unknown("command", word, JOBS)
    job = _job(word)
    options = vars(_parser(word, job).parse_args(arguments[1:]))
    result = job(**options)
    if isinstance(result, (str, Path)):
        print(result)
    return 0


def _job(name: str) -> Callable[..., Any]:
    module, function = JOBS[name].split(":")
    job: Callable[..., Any] = getattr(import_module(module), function)
    return job


def _overview() -> str:
    lines = [
        "ipse: models that teach themselves",
        "",
        "usage: ipse COMMAND [OPTIONS]        ipse COMMAND --help tells more",
        "",
    ]
    lines += [f"  {name:12}{(_job(name).__doc__ or '').splitlines()[0]}" for name in JOBS]
    lines += ["", "for example: ipse pretrain photos/ --method barlow-twins --minutes 10"]
    return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see `{self.prog} --help`)")


def _parser(name: str, job: Callable[..., Any]) -> _Parser:
    """The parser of one command: parameters without a star are positional, the others options."""
    documentation = inspect.cleandoc(job.__doc__ or "").split("\n\n", 1)
    parser = _Parser(
        f"ipse {name}",
        description="\n\n".join(documentation),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = typing.get_type_hints(job, include_extras=True)
    for parameter in inspect.signature(job).parameters.values():
        _add(parser, parameter, *_read(hints[parameter.name]))
    return parser


def _read(hint: Any) -> tuple[Any, str]:
    """A type and its help text from Annotated[type, text]."""
    kind, text = typing.get_args(hint)
    return kind, text.replace("%", "%%")


def _add(parser: _Parser, parameter: inspect.Parameter, kind: Any, text: str) -> None:
    required = parameter.default is parameter.empty
    if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
        choices = _literals(kind)
        more: dict[str, Any] = {} if required else {"nargs": "?", "default": parameter.default}
        parser.add_argument(parameter.name, metavar=parameter.name.upper(), help=text, choices=choices, **more)
        return
    option = "--" + parameter.name.replace("_", "-")
    if kind is bool:
        parser.add_argument(option, action=argparse.BooleanOptionalAction, default=parameter.default, help=text)
    elif _repeats(kind):
        parser.add_argument(
            option, action="extend", nargs="+", default=list(parameter.default), help=text, metavar=_metavar(parameter.name)
        )
    else:
        default = "" if parameter.default in (None, parameter.empty) else f" (default {parameter.default})"
        parser.add_argument(
            option,
            type=_scalar(kind),
            required=required,
            default=None if required else parameter.default,
            help=text + default,
            metavar=_metavar(parameter.name),
        )


def _metavar(name: str) -> str:
    return {"set": "NAME=VALUE", "views": "NAME=VALUE", "plus": "KEY[=WEIGHT]"}.get(name, name.upper())


def _parts(kind: Any) -> list[Any]:
    return list(typing.get_args(kind)) if typing.get_origin(kind) in (typing.Union, types.UnionType) else [kind]


def _literals(kind: Any) -> list[Any] | None:
    found = [value for part in _parts(kind) if typing.get_origin(part) is typing.Literal for value in typing.get_args(part)]
    return found or None


def _repeats(kind: Any) -> bool:
    return any(
        typing.get_origin(part) is not None and issubclass(typing.get_origin(part), Sequence)
        for part in _parts(kind)
        if typing.get_origin(part) is not typing.Literal
    )


def _scalar(kind: Any) -> Callable[[str], Any]:
    parts = _parts(kind)
    return int if int in parts else float if float in parts else str
