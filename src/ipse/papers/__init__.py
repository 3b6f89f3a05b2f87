"""The catalogue: each paper's key, reference, job and summary, where its code is and what became of its claim.

The data stands in `<job>.toml` beside this file, one table per paper. Reading it imports no paper's code; `load` does, for one.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ipse.errors import UserError, unknown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

JOBS = {
    "pretrain": "learn an encoder from unlabelled data",
    "selftrain": "learn from a few labels and much unlabelled data",
    "fit": "train with labels so that the model is robust, calibrated or keeps learning",
    "adapt": "fit a trained model to data that has shifted",
    "distill": "pass what one model knows on to another, or to itself",
    "compress": "make models, prompts and data sets smaller",
    "decode": "generate text faster with the model's own layers, output unchanged",
    "improve": "let a language model learn from its own output",
    "generate": "make images, speech and other samples",
    "restore": "recover corrupted signals without clean ones",
    "perceive": "find depth, motion, objects and key points without their labels",
    "retrieve": "find the document, picture, person or sound that matches",
    "forget": "remove what a model learned from chosen data",
    "evaluate": "judge representations and models, with and without labels",
    "monitor": "watch training and data, and warn in time",
    "study": "theory and surveys, as experiments that end in numbers",
}

_ROLES = {
    "ipse.methods.pretrain": "method",
    "ipse.methods.selftrain": "selftrain method",
    "ipse.methods.distill": "distill method",
    "ipse.methods.adapt": "adapt method",
    "ipse.methods.restore": "restore method",
    "ipse.methods.forget": "forget method",
    "ipse.regularizers": "regularizer",
    "ipse.metrics.sdsc": "measure",
    "ipse.metrics": "metric",
    "ipse.optim.schedules": "schedule",
    "ipse.optim": "optimizer",
    "ipse.callbacks": "monitor",
    "ipse.studies": "study",
}


@dataclass(frozen=True)
class Paper:
    """One entry of the catalogue; `entry` is `module:Name` of its code, None as long as there is none."""

    key: str
    title: str
    ref: str
    job: str
    kind: str
    modality: tuple[str, ...]
    summary: str
    entry: str | None = None

    @property
    def role(self) -> str:
        """What its code plugs in as (method, regularizer, metric, schedule, ...), by the folder it is in; '' without code."""
        module = (self.entry or "").partition(":")[0]
        return next((role for folder, role in _ROLES.items() if module.startswith(folder)), "")

    @property
    def url(self) -> str:
        """Its page on arXiv; '' when the reference names none."""
        found = re.search(r"arXiv:(\d{4}\.\d{4,5})", self.ref)
        return f"https://arxiv.org/abs/{found[1]}" if found else ""


@cache
def catalogue() -> dict[str, Paper]:
    """The 298 papers by key, jobs in the order of `JOBS`, keys in alphabetical order within a job."""
    return {key: paper for job in JOBS for key, paper in _read(job).items()}


@cache
def baselines() -> dict[str, Paper]:
    """What exists beside the papers of the catalogue: baselines, common measures, plain schedules."""
    return _read("baselines")


@cache
def everything() -> dict[str, Paper]:
    """The catalogue and the baselines by key."""
    return catalogue() | baselines()


def find(key: str) -> Paper:
    """The paper of that key, or whose code has that name (`infinite`); UserError with the nearest key when there is none."""
    papers = everything()
    named = (p for p in papers.values() if p.entry and p.entry.rpartition(":")[2] == key)
    paper = papers.get(key) or next(named, None)
    if paper is None:
        raise unknown("paper", key, papers)
    return paper


def of(*, job: str | None = None, kind: str | None = None) -> list[Paper]:
    """The papers of a job and a kind; a kind is what a paper calls itself (objective) or the role its code plays (method)."""
    return [p for p in everything().values() if job in (None, p.job) and kind in (None, p.kind, p.role)]


def load(key: str, kind: str) -> Any:
    """Import the code of a paper that plays the role `kind`: a method's class, a regularizer's, a metric's function, ...

    UserError: no such paper, no code yet, or code of another role.
    """
    runs = sorted(p.key for p in everything().values() if p.role == kind)
    try:
        paper = find(key)
    except UserError:
        raise unknown(kind, key, runs) from None
    if paper.entry is None:
        raise UserError(f"not yet: {key!r} is in the catalogue without code; each {kind} that runs: {', '.join(runs)}")
    if paper.role != kind:
        raise UserError(f"{key!r} is a {paper.role}, not a {kind}; each {kind} that runs: {', '.join(runs)}")
    module, name = paper.entry.split(":")
    return getattr(import_module(module), name)


def verdict(paper: Paper) -> str:
    """What became of the paper's claim: 'holds', 'not shown' or 'opposite'; '' when it was not reproduced yet."""
    try:
        return str(json.loads((_results() / f"{paper.key}.json").read_text(encoding="utf-8"))["verdict"])
    except FileNotFoundError:
        return ""


def _read(name: str) -> dict[str, Paper]:
    with (Path(__file__).parent / f"{name}.toml").open("rb") as file:
        tables = tomllib.load(file)
    return {key: Paper(key=key, **{**fields, "modality": tuple(fields["modality"])}) for key, fields in tables.items()}


@cache
def _results() -> Path:
    package = Path(__file__).parents[1]
    installed, checkout = package / "results", package.parents[1] / "results"
    return installed if installed.is_dir() else checkout
