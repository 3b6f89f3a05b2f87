"""README.md and docs/: every command and snippet runs, every link leads somewhere, every option stands on its page.

Each page runs from top to bottom in a folder of its own, with `photos/` in it (two class folders, 80 pictures) and, where the page
does not make it itself, the run `runs/barlow-twins-photos`. Lines of shell run in this process, snippets of Python share one
namespace per page. A block with a title is a file; where it is one of ipse's own, it takes part as if it were in the package.

To be fast: runs are of two steps (`SHORT`), encoders of timm are small and start without their weights, and claims learn from a few
digits. Blocks that install something or call pytest or make are left out: `.ci/run` runs those of README.md.
"""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import ipse.claims
from ipse import cli, papers
from ipse.papers import Paper

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}
SHORT = {
    r"--(minutes|epochs|steps) [\d.]+": "--steps 2",
    r"\b(minutes|epochs|steps)=[\d.]+": "steps=2",
    r"\b(mnist5k|cifar10|fashion-mnist)\b": "digits",
    r"--image-size \d+": "",
    r"--encoder resnet18": "--encoder resnet18 --image-size 32",
    r"\bresnet18\b": "test_resnet",
    r"--devices \d+": "--devices 1",
    r" --compile\b": "",
}
LEFT_OUT = re.compile(r"\bpip install\b|\bpytest\b|^make ", re.MULTILINE)
MAKES = re.compile(r"^ipse pretrain photos/ --method barlow-twins --minutes \d+\s*(#.*)?$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block of a page."""

    language: str
    title: str
    text: str
    line: int


def blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for found in re.finditer(r'^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', text, re.MULTILINE | re.DOTALL):
        yield Block(found[1], found[2] or "", found[3], text[: found.start()].count("\n") + 2)


RUNNING = [name for name, path in PAGES.items() if any(b.language in ("sh", "python") for b in blocks(path))]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder with `photos/` and the run of them that most pages start from."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(photos, folder / "photos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shell("ipse pretrain photos/ --method barlow-twins --steps 2 --set widths=[64,64] --quiet")
    return folder


@pytest.fixture
def page(request: pytest.FixtureRequest, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page, with the folder that it runs in as the current one."""
    import timm

    create, path = timm.create_model, PAGES[request.param]
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained=False, **options: create(name, **options))
    monkeypatch.setattr("ipse.claims.harness.trials.load", lambda key: small_claim(key, monkeypatch))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "photos", "photos")
    text = path.read_text(encoding="utf-8")
    if not MAKES.search(text):
        shutil.copytree(made / "runs", "runs")
    return path


@pytest.mark.parametrize("page", RUNNING, indirect=True)
def test_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        text = block.text
        if block.title:
            Path(block.title).parent.mkdir(parents=True, exist_ok=True)
            Path(block.title).write_text(text, encoding="utf-8")
            take_part(Path(block.title), monkeypatch)
        elif block.language in ("sh", "python") and not LEFT_OUT.search(text):
            for long, short in SHORT.items():
                text = re.sub(long, short, text)
            if block.language == "sh":
                for line in text.replace("\\\n", " ").splitlines():
                    shell(line)
            else:
                exec(compile("\n" * (block.line - 1) + text, page, "exec"), namespace)


def shell(line: str) -> None:
    """Runs a line of shell that calls ipse, in this process."""
    program, *arguments = shlex.split(line, comments=True)
    if program == "make":
        return  # benchmarks and claims take their time
    assert program == "ipse", f"only ipse can be called here: {line}"
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 0, line


def take_part(path: Path, patch: pytest.MonkeyPatch) -> None:
    """Makes a file below src/ipse a part of the package until the end of the test."""
    if path.suffix == ".py":
        package = import_module(".".join(path.parent.relative_to("src").parts))
        patch.setattr(package, "__path__", [*package.__path__, str(path.parent.resolve())])
        patch.setitem(sys.modules, name := f"{package.__name__}.{path.stem}", None)  # so that it is forgotten in the end
        del sys.modules[name]
    if path.suffix == ".toml":
        added = {key: Paper(key, **table) for key, table in tomllib.loads(path.read_text(encoding="utf-8")).items()}
        every = papers.everything() | added
        patch.setattr(papers, "everything", lambda: every)


def small_claim(key: str, patch: pytest.MonkeyPatch) -> Any:
    """The claim of a paper, learning for two steps from sixty digits."""
    found = ipse.claims.harness.claim.load(key)
    module = import_module(found.run.__module__)
    pictures, pretrained = ipse.claims.pictures, ipse.claims.pretrained
    few = {"steps": 2, "batch_size": 16}
    patch.setattr(module, "pictures", lambda name, train, test, seed: pictures("digits", 60, 40, seed))
    patch.setattr(module, "pretrained", lambda data, seed, **words: pretrained(data, seed, **words | few))
    return found


OPTIONS = {
    name: [a for a in cli._parser(name, cli._job(name))._actions if a.option_strings and a.dest != "help"] for name in cli.JOBS
}


@pytest.mark.parametrize("name", [name for name, options in OPTIONS.items() if options])
def test_every_option_stands_on_its_page_with_its_default(name: str) -> None:
    text = PAGES[f"docs/jobs/{name}.md"].read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(--[\w-]+)` \|\s*(.*?)\s*\| .+ \|$", text, re.MULTILINE)
    assert [option for option, _ in rows] == [action.option_strings[0] for action in OPTIONS[name]]
    for (option, shown), action in zip(rows, OPTIONS[name], strict=True):
        if action.required:
            assert shown == "required", option
        elif isinstance(action.default, bool):
            assert shown == ("yes" if action.default else "no"), option
        elif isinstance(action.default, (str, int, float)):
            assert shown == f"`{action.default}`", option


@pytest.mark.parametrize("name", PAGES)
def test_no_page_speaks_of_an_option_that_does_not_exist(name: str) -> None:
    known = {option for actions in OPTIONS.values() for action in actions for option in action.option_strings} | {"--help"}
    text = PAGES[name].read_text(encoding="utf-8")
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) <= known


def test_every_setting_stands_on_the_page_of_pretrain() -> None:
    from ipse.transforms import Policy

    text = PAGES["docs/jobs/pretrain.md"].read_text(encoding="utf-8")
    for paper in papers.everything().values():
        if paper.role == "method" and paper.job == "pretrain":
            row = re.search(rf"^\| `{paper.key}` \| (.*)$", text, re.MULTILINE)
            method = papers.load(paper.key, "method")
            settings = [p.name for p in inspect.signature(method.__init__).parameters.values() if p.kind is p.KEYWORD_ONLY]
            assert row, f"no row for {paper.key}"
            assert re.findall(r"`(\w+)=", row[1]) == settings, paper.key
        if paper.role in ("regularizer", "schedule"):
            assert paper.key in text or papers.load(paper.key, paper.role).__name__ in text
    views = re.search(r"## Views\n(.*?)\n## ", text, re.DOTALL)
    assert views
    cells = re.findall(r"^\| (`.*?) \|", views[1], re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(cells)) == [field.name for field in fields(Policy)]


def test_every_measure_stands_on_the_page_of_evaluate() -> None:
    from ipse.jobs.evaluate import MEANINGS

    text = PAGES["docs/jobs/evaluate.md"].read_text(encoding="utf-8").partition("## Measures")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == list(MEANINGS)


@pytest.mark.parametrize("package", ["losses", "regularizers", "metrics", "optim"])
def test_every_module_of_blocks_is_in_the_api(package: str) -> None:
    shown = re.findall(r"^::: (ipse\.\S+)", PAGES["docs/api.md"].read_text(encoding="utf-8"), re.MULTILINE)
    modules = {f"ipse.{package}.{path.stem}" for path in (ROOT / "src" / "ipse" / package).glob("[!_]*.py")}
    assert modules <= set(shown)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files(name: str) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", PAGES[name].read_text(encoding="utf-8")):
        assert (PAGES[name].parent / target).is_file(), target


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    for name in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(name)
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    result = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "papers.html").is_file()
