"""The command line: one command per job, its options read off the job's signature."""

from __future__ import annotations

import argparse
import errno
import inspect
import io
import os
import shlex
import shutil
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from ipse import __version__
from ipse.errors import Interrupted, UserError, unknown
from ipse.jobs import names

JOBS = {
    "pretrain": "ipse.jobs.pretrain:pretrain",
    "selftrain": "ipse.jobs.selftrain:selftrain",
    "distill": "ipse.jobs.distill:distill",
    "adapt": "ipse.jobs.adapt:adapt_stream",
    "forget": "ipse.jobs.forget:forget",
    "restore": "ipse.jobs.restore:restore",
    "evaluate": "ipse.jobs.evaluate:evaluate",
    "embed": "ipse.jobs.embed:embed",
    "export": "ipse.jobs.export:export",
    "report": "ipse.jobs.report:report",
    "papers": "ipse.jobs.papers:papers",
    "methods": "ipse.jobs.papers:methods",
    "reproduce": "ipse.jobs.reproduce:reproduce",
}

_VALUES = {  # what stands for an option's value in the help, where its type does not say
    **dict.fromkeys(("set", "views"), "NAME=VALUE"),
    **dict.fromkeys(("metrics", "watch", "method", "encoder", "student", "optimizer", "schedule"), "NAME"),
    "plus": "KEY[=WEIGHT]",
    "labels": "CSV",
    "forget": "CSV",
    **dict.fromkeys(("retain", "pool"), "DATA"),
    "gold": "RUN",
    "json": "FILE",
    **dict.fromkeys(("resume", "from_"), "DIR"),
    "out": "PATH",
    "corrupt": "NAME",
    "source": "DATA",
    "state": "FILE",
}
_EXAMPLES = {
    "pretrain": "ipse pretrain photos/ --minutes 10 --watch rankme",
    "selftrain": "ipse selftrain photos/ --labels few.csv --minutes 10",
    "distill": "ipse distill runs/fixmatch-photos photos/ --student small_conv",
    "adapt": "ipse adapt runs/fixmatch-photos new-photos/ --method tent",
    "forget": "ipse forget runs/fixmatch-photos --forget list.csv --gold retrain",
    "restore": "ipse restore dark.jpg --out restored",
    "evaluate": "ipse evaluate runs/simclr-photos photos/ --labels labels.csv",
    "embed": "ipse embed runs/simclr-photos photos/ --out photos.npz",
    "export": "ipse export runs/simclr-photos --format onnx --out photos.onnx",
    "report": "ipse report runs/simclr-photos",
    "papers": "ipse papers search noise without clean images",
    "methods": "ipse methods",
    "reproduce": "ipse reproduce dcl",
}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits: 0, 2 for a mistake of the user's (one line on stderr), 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of few characters is no reason to stop
    try:
        _run(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()
        sys.exit(0)
    except UserError as e:
        _complain(f"error: {e}", 2)
    except Interrupted as e:
        _complain(
            "stopped" + (f" and saved; go on with: ipse {e.job} --resume {shlex.quote(e.folder)}" if e.folder else ""),
            e.status,
        )
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has seen enough, as in `ipse papers | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as e:
        if e.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _complain(f"error: no space left on the disk{f' for {e.filename}' if e.filename else ''}: free some and try again", 2)


def _complain(text: str, status: int) -> NoReturn:
    print("ipse:", " ".join(text.splitlines()), file=sys.stderr)
    sys.exit(status)


def _run(arguments: list[str]) -> None:
    word = arguments[0] if arguments else "--help"
    if word in ("-h", "--help", "help"):
        print(_overview())
    elif word in ("-V", "--version"):
        print(f"ipse {__version__}")
    elif word not in JOBS:
        raise unknown("command", word, JOBS)
    else:
        job = _job(word)
        result = job(**_parse(_parser(word, job), arguments[1:]))
        if isinstance(result, (str, Path)):
            print(result)


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
    for name in JOBS:
        text = (_job(name).__doc__ or "").splitlines()[0]
        lines.append(textwrap.fill(text, _width(), initial_indent=f"  {name:12}", subsequent_indent=" " * 14))
    lines += ["", "for example: ipse pretrain photos/ --method barlow-twins --minutes 10"]
    return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see `{self.prog} --help`)")


def _parse(parser: _Parser, arguments: Sequence[str]) -> dict[str, Any]:
    """The options by name; raises UserError for those that do not exist, with the nearest one that does."""
    known = [option for action in parser._actions for option in action.option_strings]
    for word in arguments:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in known:
            raise unknown("option", option, known)
    values = vars(parser.parse_args(arguments))
    for action in parser._actions:
        for word in values.get(action.dest) or () if action.nargs == "+" and action.option_strings else ():
            if "=" not in word and Path(word).exists():
                raise UserError(
                    f"argument {action.option_strings[0]}: {word} is a file or folder: give DATA before the options"
                )
    return values


def _parser(name: str, job: Callable[..., Any]) -> _Parser:
    """The parser of one command: parameters without a star are positional, the others options."""
    parser = _Parser(
        f"ipse {name}",
        description=_description(job),
        epilog=f"for example: {_EXAMPLES[name]}" if name in _EXAMPLES else None,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=_width()),
        allow_abbrev=False,
    )
    hints = typing.get_type_hints(job, include_extras=True)
    for parameter in inspect.signature(job).parameters.values():
        kind, text = typing.get_args(hints[parameter.name])  # of Annotated[kind, text]
        _add(parser, parameter, kind, text.replace("%", "%%"))
    return parser


def _description(job: Callable[..., Any]) -> str:
    """The docstring without the paragraphs on what is returned and raised, which speak to callers from Python."""
    paragraphs = inspect.cleandoc(job.__doc__ or "").split("\n\n")
    return "\n\n".join(textwrap.fill(p, _width()) for p in paragraphs if not p.startswith(("Returns ", "Raises ")))


def _width() -> int:
    return max(40, min(110, shutil.get_terminal_size().columns - 2))


def _add(parser: _Parser, parameter: inspect.Parameter, kind: Any, text: str) -> None:
    """One argument or option, as its type says."""
    required = parameter.default is parameter.empty
    if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
        more: dict[str, Any] = {} if required else {"nargs": "?", "default": parameter.default}
        if any(_is_sequence(part) for part in _parts(kind)):
            more = {"nargs": "*"}
        text += f" (default {parameter.default})" if isinstance(parameter.default, str) else ""
        parser.add_argument(parameter.name, metavar=parameter.name.upper(), help=text, choices=_choices(kind), **more)
        return
    option, dest = names.option(parameter.name), parameter.name
    default = None if required else parameter.default
    more = {"help": text, "metavar": _VALUES.get(parameter.name), "choices": _choices(kind)}
    if kind is bool:
        action: Any = argparse.BooleanOptionalAction if default else "store_true"
        parser.add_argument(option, dest=dest, action=action, default=default, help=text)
    elif any(_is_sequence(part) for part in _parts(kind)):
        parser.add_argument(option, dest=dest, action="extend", nargs="+", default=list(default or ()), **more)
    else:
        more["help"] += "" if default is None else f" (default {default})"
        read, letter = _scalar(kind)
        more["metavar"] = more["metavar"] or (None if more["choices"] else letter)
        parser.add_argument(option, dest=dest, type=read, required=required, default=default, **more)


def _parts(kind: Any) -> list[Any]:
    """The types that a union is of."""
    return list(typing.get_args(kind)) if typing.get_origin(kind) in (typing.Union, types.UnionType) else [kind]


def _choices(kind: Any) -> list[Any] | None:
    literals = [part for part in _parts(kind) if typing.get_origin(part) is typing.Literal]
    return [word for part in literals for word in typing.get_args(part)] or None


def _is_sequence(kind: Any) -> bool:
    origin = typing.get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def _scalar(kind: Any) -> tuple[Callable[[str], Any], str]:
    """How to read one value of this type, and the letter that stands for it in the help."""
    parts = _parts(kind)
    if int in parts:
        return _whole, "N"
    return (_number, "X") if float in parts else (str, "WORD")


def _whole(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, not {word!r}") from None


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, not {word!r}") from None
