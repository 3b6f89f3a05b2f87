"""README.md and docs/: every command and snippet runs, every link leads somewhere, every option stands on its page.

Each page runs from top to bottom in a folder of its own, with `photos/` (two class folders, 80 pictures), `recordings/`,
`sensors.csv` and `customers.parquet` in it and, where the page does not make it itself, the run `runs/barlow-twins-photos`. Lines of
shell run in this process, snippets of Python share one namespace per page. A block with a title is a file: one of ipse's own, or an
excerpt of it, is there as it stands, and any other is written.

To be fast: runs are of two steps (`SHORT`), encoders of timm are small and start without their weights, and claims learn from a few
digits. Blocks that install something or call pytest or make are left out: `.ci/run` runs those of README.md.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

import ipse.claims
from ipse import cli, papers
from ipse.jobs.names import settings_of

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}
SHORT = {
    r"--(minutes|epochs|steps) [\d.]+": "--steps 2",
    r"\b(minutes|epochs|steps)=[\d.]+": "steps=2",
    r"\b(mnist5k|cifar10|fashion-mnist)\b": "digits",
    r"--size \d\d+": "",
    r"--encoder resnet18": "--encoder resnet18 --size 32",
    r"\bresnet18\b": "test_resnet",
    r"--devices \d+": "--devices 1",
    r" --compile\b": "",
}
LEFT_OUT = re.compile(r"\bpip install\b|\bpytest\b|^make ", re.MULTILINE)
KINDS = {"image": "pictures", "audio": "audio", "series": "series", "table": "tables"}
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
    """A folder with data of every kind, and the run of `photos/` that most pages start from."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(photos, folder / "photos")
    make_recordings(folder / "recordings")
    make_slides(folder)
    make_sensors().to_csv(folder / "sensors.csv", index=False)
    make_customers().to_parquet(folder / "customers.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shell("ipse pretrain photos/ --method barlow-twins --steps 2 --set widths=[64,64] --quiet")
    return folder


def make_recordings(folder: Path) -> None:
    """48 tones of two speakers at 16 kHz, a silent one and an empty file, and labels.csv."""
    rng = np.random.default_rng(0)
    lines = ["path,speaker"]
    for i in range(49):
        speaker = ("anna", "boris")[i % 2]
        seconds = np.arange(rng.integers(6000, 10000)) / 16000
        tone = (i < 48) * (
            0.4 * np.sin(2 * np.pi * (200 + 200 * (i % 2) + 3 * i) * seconds) + rng.normal(0, 0.01, len(seconds))
        )
        path = folder / speaker / f"{i:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes((tone * 32767).astype("<i2").tobytes())
        lines.append(f"{speaker}/{i:02}.wav,{speaker}")
    (folder / "anna" / "empty.wav").touch()
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_slides(folder: Path) -> None:
    """24 bright discs before dark in slides/, masks for half of them in masks/; six more of each."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:24, :24]
    for prefix, count in (("", 24), ("more-", 6)):
        for name in ("slides", "masks"):
            (folder / f"{prefix}{name}").mkdir()
        for i in range(count):
            disc = (y - rng.uniform(8, 16)) ** 2 + (x - rng.uniform(8, 16)) ** 2 < 36
            grey = (60 + 120 * disc + rng.normal(0, 12, disc.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(grey).save(folder / f"{prefix}slides" / f"{i:02}.png")
            if i % 2 == 0:
                Image.fromarray(disc.astype(np.uint8)).save(folder / f"{prefix}masks" / f"{i:02}.png")


def make_sensors() -> pd.DataFrame:
    """2,400 steps of three channels with gaps, and what was going on."""
    rng = np.random.default_rng(0)
    steps = np.arange(2400)
    runs = steps // 300 % 2
    channels = {name: np.sin(steps * (0.1 + 0.2 * runs) + i) + rng.normal(0, 0.1, 2400) for i, name in enumerate("xyz")}
    channels["z"][100:140] = np.nan
    return pd.DataFrame({"time": steps * 0.02, **channels, "label": np.array(["walks", "runs"])[runs]})


def make_customers() -> pd.DataFrame:
    """200 rows with numbers, categories, dates, missing cells, a constant column and labels."""
    rng = np.random.default_rng(0)
    age, left = rng.integers(18, 80, 200), rng.integers(0, 2, 200)
    return pd.DataFrame(
        {
            "age": np.where(rng.random(200) < 0.1, np.nan, age),
            "income": rng.lognormal(10, 0.5, 200) * (1 + left),
            "plan": rng.choice(["basic", "family", "pro"], 200),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, 200), "D"),
            "country": "NL",
            "left": np.where(left, "yes", "no"),
        }
    )


@pytest.fixture
def page(request: pytest.FixtureRequest, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page, with the folder that it runs in as the current one."""
    import timm

    create, path = timm.create_model, PAGES[request.param]
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained=False, **options: create(name, **options))
    monkeypatch.setattr("ipse.claims.harness.trials.load", lambda key: small_claim(key, monkeypatch))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    if MAKES.search(path.read_text(encoding="utf-8")):
        shutil.rmtree("runs")
    return path


@pytest.mark.parametrize("page", RUNNING, indirect=True)
def test_page_runs(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page):
        text = block.text
        if (ROOT / block.title).is_file():
            excerpt(text, (ROOT / block.title).read_text(encoding="utf-8"))
        elif block.title:
            Path(block.title).write_text(text, encoding="utf-8")
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


def excerpt(text: str, whole: str) -> None:
    """Whether a text is a file's, but for what `...` on a line of its own stands for."""
    place = 0
    for part in re.split(r"^ *\.\.\.\n", text, flags=re.MULTILINE):
        place = whole.find(part, place)
        assert place >= 0, f"the file has it differently:\n{part}"
        place += len(part)


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


METHODS = [paper.key for paper in papers.everything().values() if paper.role == "method" and paper.job == "pretrain"]


@pytest.mark.parametrize("key", METHODS)
def test_every_setting_stands_on_a_page_with_its_default(key: str) -> None:
    """On that of pre-training where the method is for every kind of data, else on those of its kinds."""
    method = papers.load(key, "method")
    settings = {n: list(s.default) if isinstance(s.default, tuple) else s.default for n, s in settings_of(method).items()}
    for name in [f"data/{KINDS[kind]}" for kind in method.modalities] or ["jobs/pretrain"]:
        shown = settings_shown(key, f"docs/{name}.md")
        assert list(shown) == list(settings)
        assert shown == settings


def settings_shown(key: str, page: str) -> dict[str, Any]:
    """Those in the row of a method, and then those of the method that it may refer to."""
    row = re.search(rf"^\| `{key}` \| (.*)$", PAGES[page].read_text(encoding="utf-8"), re.MULTILINE)
    assert row, f"no row for {key} on {page}"
    own = {setting: yaml.safe_load(value) for setting, value in re.findall(r"`(\w+)=([^`]*)`", row[1])}
    base = re.search(r"those of `([\w-]+)`", row[1])
    inherited = settings_shown(base[1], page) if base else {}
    return own | {name: value for name, value in inherited.items() if name not in own}


TAUGHT = [(job, p.key) for job in ("selftrain", "distill") for p in papers.of(kind=f"{job} method")]


@pytest.mark.parametrize(("job", "key"), TAUGHT)
def test_every_setting_of_what_teaches_classifiers_stands_on_the_page_of_its_job(job: str, key: str) -> None:
    method = papers.load(key, f"{job} method")
    settings = {name: setting.default for name, setting in settings_of(method).items()}
    row = re.search(rf"^\| `{key}` \| (.*)$", PAGES[f"docs/jobs/{job}.md"].read_text(encoding="utf-8"), re.MULTILINE)
    assert row, f"no row for {key}"
    shown = {setting: yaml.safe_load(value) for setting, value in re.findall(r"`(\w+)=([^`]*)`", row[1])}
    assert shown == {n: list(value) if isinstance(value, tuple) else value for n, value in settings.items()}


def test_regularizers_and_schedules_stand_on_the_page_of_pretrain() -> None:
    text = PAGES["docs/jobs/pretrain.md"].read_text(encoding="utf-8")
    for paper in papers.everything().values():
        if paper.role in ("regularizer", "schedule"):
            assert paper.key in text or papers.load(paper.key, paper.role).__name__ in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_setting_of_views_stands_on_the_page_of_its_data_with_its_default(kind: str) -> None:
    from ipse.transforms.audio import AudioPolicy
    from ipse.transforms.image import ImagePolicy
    from ipse.transforms.series import SeriesPolicy
    from ipse.transforms.table import TablePolicy

    policy = {"image": ImagePolicy, "audio": AudioPolicy, "series": SeriesPolicy, "table": TablePolicy}[kind]
    text = PAGES[f"docs/data/{KINDS[kind]}.md"].read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", text.partition("## Views\n")[2].partition("\n## ")[0], re.MULTILINE)
    assert [name for names, _ in rows for name in re.findall(r"`(\w+)`", names)] == [field.name for field in fields(policy)]
    for names, values in rows:
        shown = [yaml.safe_load(value) for value in re.findall(r"`(.*?)`", values)]
        for name, value in zip(re.findall(r"`(\w+)`", names), shown * (3 if len(shown) == 1 else 1), strict=False):
            assert value == pytest.approx(np.array(getattr(policy(), name)).tolist(), abs=1e-3), name


@pytest.mark.parametrize("kind", KINDS)
def test_every_encoder_stands_on_the_page_of_its_data(kind: str) -> None:
    from ipse import models

    text = PAGES[f"docs/data/{KINDS[kind]}.md"].read_text(encoding="utf-8").partition("## Encoders\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert shown[0] == models.usual(kind)
    assert sorted(shown) == models.known(kind)


def test_every_measure_stands_on_the_page_of_evaluate() -> None:
    from ipse.jobs.measures import MEANINGS

    text = PAGES["docs/jobs/evaluate.md"].read_text(encoding="utf-8").partition("## Measures")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == list(MEANINGS)


@pytest.mark.parametrize("package", ["losses", "regularizers", "metrics", "optim", "models", "transforms", "studies"])
def test_every_module_of_blocks_is_in_the_api(package: str) -> None:
    shown = re.findall(r"^::: (ipse\.\w+\.\w+)", PAGES["docs/api.md"].read_text(encoding="utf-8"), re.MULTILINE)
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
