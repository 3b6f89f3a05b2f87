"""The command line: options from signatures, help that reads well, exit statuses, and nothing slow before a job needs it."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import subprocess
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import ipse as package
from ipse import cli
from ipse.errors import Interrupted, UserError


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.mark.parametrize("name", cli.JOBS)
def test_every_parameter_is_an_option_that_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    job = cli._job(name)
    assert call(name, "--help") == 0
    text = "".join(capsys.readouterr().out.split())  # wherever its lines break
    actions = {action.dest: action for action in cli._parser(name, job)._actions if action.dest != "help"}
    hints = typing.get_type_hints(job, include_extras=True)
    assert list(actions) == list(inspect.signature(job).parameters)
    for parameter in inspect.signature(job).parameters.values():
        action, (_, meaning) = actions[parameter.name], typing.get_args(hints[parameter.name])
        assert meaning.strip()
        assert "".join(meaning.split()) in text
        needed = parameter.default is parameter.empty
        if action.option_strings:
            assert action.option_strings[0] == "--" + parameter.name.rstrip("_").replace("_", "-")
            assert action.required == needed
        else:
            assert (action.nargs not in ("?", "*")) == needed
        usual = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
        assert needed or action.default == usual or not (action.default or usual)
    assert "".join((inspect.getdoc(job) or "").splitlines()[0].split()) in text
    assert "RaisesUserError" not in text


def test_help_fits_the_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in cli.JOBS:
        call(name, "--help")
        assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def job(
    where: typing.Annotated[str, "where, by 100%"],
    what: typing.Annotated[typing.Literal["this", "that"] | None, "this or that"] = None,
    *,
    needed: typing.Annotated[int, "needed"],
    number: typing.Annotated[float | None, "a number"] = None,
    whole: typing.Annotated[int | None, "whole"] = 3,
    words: typing.Annotated[Sequence[str], "some words"] = (),
    off: typing.Annotated[bool, "off"] = False,
    on: typing.Annotated[bool, "on"] = True,
) -> None:
    """Do something.

    In some way.

    Returns nothing.
    """


def read(*words: str) -> dict[str, Any]:
    return cli._parse(cli._parser("job", job), words)


def test_types_are_read_off_the_signature() -> None:
    usual = {"where": "x", "what": None, "needed": 1, "number": None, "whole": 3, "words": [], "off": False, "on": True}
    assert read("x", "--needed", "1") == usual
    words = ["x", "that", "--needed=-2", "--number", "1e-3", "--words", "a", "b", "--words", "c", "--off", "--no-on"]
    expected = {"what": "that", "needed": -2, "number": 0.001, "words": ["a", "b", "c"], "off": True, "on": False}
    assert read(*words) == usual | expected
    assert read("x", "--needed", "1") == usual  # the lists of one call are not those of the next


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["x"], "the following arguments are required: --needed (see `ipse job --help`)"),
        (["--needed", "1"], "the following arguments are required: WHERE"),
        (["x", "--needed", "many"], "argument --needed: expected a whole number, not 'many'"),
        (["x", "--needed", "1.5"], "argument --needed: expected a whole number, not '1.5'"),
        (["x", "--needed", "1", "--number", "some"], "argument --number: expected a number, not 'some'"),
        (["x", "neither", "--needed", "1"], "argument WHAT: invalid choice: 'neither'"),
        (["x", "--needed"], "argument --needed: expected one argument"),
        (["x", "--needed", "1", "--wrods", "a"], "unknown option '--wrods': did you mean '--words'?"),
        (["x", "--need", "1"], "unknown option '--need': did you mean '--needed'?"),
        (["x", "--need=1"], "unknown option '--need': did you mean '--needed'?"),
        (["x", "this", "more", "--needed", "1"], "unrecognized arguments: more"),
    ],
)
def test_mistakes_say_what_was_expected(words: list[str], expected: str) -> None:
    with pytest.raises(UserError) as error:
        read(*words)
    assert str(error.value).startswith(expected)


def test_an_option_of_pretrain_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("pretrain", "digits", "--bach-size", "3") == 2
    assert capsys.readouterr().err == "ipse: error: unknown option '--bach-size': did you mean '--batch-size'?\n"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("wrong\nand more"), 2, "ipse: error: wrong and more"),
        (Interrupted(143, "my run"), 143, "ipse: stopped and saved; go on with: ipse pretrain --resume 'my run'"),
        (Interrupted(130), 130, "ipse: stopped"),
        (KeyboardInterrupt(), 130, ""),
        (
            OSError(28, "No space left on device", "run/x"),
            2,
            "ipse: error: no space left on the disk for run/x: free some and try again",
        ),
    ],
)
def test_exit_statuses(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        """Break."""
        raise error

    monkeypatch.setattr(cli, "_job", lambda name: broken)
    assert call("methods") == status
    assert capsys.readouterr().err.strip() == line


def test_what_is_no_mistake_of_the_users_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_job", lambda name: lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["methods"])


def test_version_and_overview(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"ipse {package.__version__}\n"
    assert call() == call("-h") == call("help") == call("--help") == 0
    overview = capsys.readouterr().out
    assert all(f"\n  {name} " in overview for name in cli.JOBS)
    assert max(map(len, overview.splitlines())) <= 132


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["papers"], ["papers", "show", "dcl"], ["methods"], ["pretrain", "--help"]]
)
def test_torch_is_not_imported_before_a_job_needs_it(words: list[str]) -> None:
    code = f"""
import atexit, json, sys
from ipse.cli import main
slow = ("torch", "timm", "sklearn", "datasets", "pandas", "matplotlib")
atexit.register(lambda: print(json.dumps([name for name in slow if name in sys.modules]), file=sys.stderr))
main({words})"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(result.stderr) == []
    assert result.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of this kind")
@pytest.mark.parametrize("words", [["papers"], ["--version"]])  # more than a buffer, and less
def test_a_reader_that_has_seen_enough(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        result = subprocess.run([sys.executable, "-m", "ipse", *words], stdout=pipe, stderr=subprocess.PIPE)
    assert (result.returncode, result.stderr) == (0, b"")


def test_a_terminal_of_few_characters() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run([sys.executable, "-m", "ipse", "papers"], capture_output=True, env=environment)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"barlow-twins" in result.stdout


def test_what_is_on_can_be_switched_off() -> None:
    for name in cli.JOBS:
        for action in cli._parser(name, cli._job(name))._actions:
            if isinstance(action.default, bool):
                off = [f"--no-{action.dest}"] if action.default else []
                assert action.option_strings == [f"--{action.dest}", *off]


def test_data_after_a_list_of_words_is_not_taken_for_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--watch", "rankme"], ["--views", "flip=0"]):
        assert call("pretrain", *words, str(tmp_path)) == 2
        assert f"{tmp_path} is a file or folder: give DATA before the options" in capsys.readouterr().err


def test_what_to_search_for_needs_no_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("papers", "search", "noise", "without", "clean", "images") == 0
    plain = capsys.readouterr().out
    assert call("papers", "search", "noise without clean images") == 0
    assert capsys.readouterr().out == plain


def test_every_command_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name, example in cli._EXAMPLES.items():
        assert example.split()[:2] == ["ipse", name]
        cli._parse(cli._parser(name, cli._job(name)), shlex.split(example)[2:])
    assert set(cli._EXAMPLES) == set(cli.JOBS)
