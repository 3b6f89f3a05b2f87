from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ipse import papers
from ipse.errors import UserError
from ipse.papers import JOBS, Paper, baselines, catalogue, everything, find, load, of, verdict

FOLDER = Path(papers.__file__).parent
KINDS = {
    *("method", "objective", "theory", "benchmark", "system", "regularizer", "metric", "architecture", "schedule", "survey"),
    *("optimizer", "augmentation"),
}
MODALITIES = {*("any", "image", "text", "audio", "video", "multimodal", "series", "table", "points", "volume", "graph")}


def test_all_298_are_there() -> None:
    assert len(catalogue()) == 298
    keys = "\n".join(sorted(catalogue()))
    assert hashlib.sha256(keys.encode()).hexdigest() == "34e60f42b875f2cfc45d8cdda2deaa22f21fbecac8c0e49a878db5cdb9bdce78"


def test_baselines_stand_beside_them() -> None:
    assert set(baselines()) == {
        "alignment",
        "bm3d",
        "bn-adapt",
        "byol",
        "constant",
        "cosine",
        "effective-dimension",
        "fine-tune",
        "fixmatch",
        "gradient-ascent",
        "joint-rotation",
        "kd",
        "knn",
        "linear",
        "mae",
        "meta-pseudo-labels",
        "nlm",
        "plain-self-training",
        "random-labels",
        "regression",
        "retrain",
        "simclr",
        "source",
        "supervised",
        "tent",
        "tv",
        "uniformity",
        "uskd",
        "wav2vec2",
    }
    assert not set(baselines()) & set(catalogue())
    assert len(everything()) == 327


@pytest.mark.parametrize("paper", everything().values(), ids=lambda p: p.key)
def test_entry_is_well_formed(paper: Paper) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", paper.key)
    assert paper.job in JOBS
    assert paper.kind in KINDS
    assert paper.modality
    assert set(paper.modality) <= MODALITIES
    for field in (paper.title, paper.ref, paper.summary):
        assert field
        assert field == " ".join(field.split())
    assert re.search(r"\b(19|20)\d\d\b|arXiv:\d{4}\.\d{4,5}", paper.ref)
    assert paper.entry is None or re.fullmatch(r"ipse(\.[a-z_0-9]+)+:[A-Za-z_0-9]+", paper.entry)


@pytest.mark.parametrize("paper", everything().values(), ids=lambda p: p.key)
def test_summary_is_one_sentence_of_its_own(paper: Paper) -> None:
    assert 12 <= len(paper.summary.split()) <= 36
    assert paper.summary.endswith(".")
    assert paper.summary[0].isupper()
    assert not re.search(r"[.!?]\s+[A-Z]", paper.summary)
    assert paper.summary.lower().rstrip(".") != paper.title.lower()


def test_summaries_differ() -> None:
    assert len({p.summary for p in everything().values()}) == len(everything())


@pytest.mark.parametrize("job", [*JOBS, "baselines"])
def test_files_are_in_order_and_hold_their_own_job(job: str) -> None:
    keys = re.findall(r"^\[(.+)\]$", (FOLDER / f"{job}.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert keys == sorted(keys)
    if job in JOBS:
        assert {catalogue()[key].job for key in keys} == {job}


def test_every_file_is_read() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == {*JOBS, "baselines"}


@pytest.mark.parametrize("paper", [p for p in everything().values() if p.entry], ids=lambda p: p.key)
def test_code_is_where_the_entry_says(paper: Paper) -> None:
    assert paper.entry is not None
    module, name = paper.entry.split(":")
    path = FOLDER.parents[1] / Path(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert re.search(rf"^(class|def) {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE)


def test_find() -> None:
    assert find("barlow-twins").title == "Barlow Twins: Self-Supervised Learning via Redundancy Reduction"
    assert find("infinite") == find("infinite-lr-schedule")
    with pytest.raises(UserError, match="unknown paper 'barlow-twin': did you mean 'barlow-twins'"):
        find("barlow-twin")


def test_url() -> None:
    assert find("dcl").url == "https://arxiv.org/abs/2110.06848"
    assert find("effective-dimension").url == ""


def test_of_takes_a_job_a_kind_or_the_role_of_the_code() -> None:
    assert [p.key for p in of(job="decode")] == ["draft-and-verify", "kangaroo", "layerskip"]
    assert {p.job for p in of(job="study", kind="survey")} == {"study"}
    methods = {p.key for p in of(kind="method") if p.entry}
    assert {"simclr", "byol", "mae", "dcl", "barlow-twins", "w-mse", "moco-v3", "tribyol", "diet"} <= methods
    assert find("dcl").kind == "objective"
    assert len(of()) == 327


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("dcl", "method"),
        ("t-regs", "regularizer"),
        ("rankme", "metric"),
        ("knn", "metric"),
        ("cosine", "schedule"),
        ("layerskip", ""),
    ],
)
def test_role_is_what_the_code_plugs_in_as(key: str, role: str) -> None:
    assert find(key).role == role


def test_load_imports_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Paper("stand-in", "T", "R, 2020", "study", "theory", ("any",), "S.", "ipse.papers:Paper")
    monkeypatch.setattr(papers, "everything", lambda: {"stand-in": stand_in})
    monkeypatch.setitem(papers._ROLES, "ipse.papers", "record")
    assert load("stand-in", "record") is Paper


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        ("simclt", "method", "unknown method 'simclt': did you mean 'simclr'"),
        ("layerskip", "method", "not yet: 'layerskip' is in the catalogue without code; each method that runs: aligned-cpc, "),
        ("rankme", "method", "'rankme' is a metric, not a method; each method that runs: "),
        ("linar", "schedule", "unknown schedule 'linar': known: constant, cosine, infinite-lr-schedule"),
    ],
)
def test_load_refuses_in_one_line(key: str, kind: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        load(key, kind)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_verdict_is_read_from_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(papers, "_results", lambda: tmp_path)
    (tmp_path / "dcl.json").write_text(json.dumps({"verdict": "not shown"}))
    assert verdict(find("dcl")) == "not shown"
    assert verdict(find("layerskip")) == ""


def test_reading_the_catalogue_imports_nothing_heavy() -> None:
    code = "import sys, ipse.papers.show as s; s.list_text(80); print(*{'torch', 'numpy', 'rich', 'jinja2'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
