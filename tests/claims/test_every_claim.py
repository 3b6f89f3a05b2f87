"""What holds for every claim file, every recorded result, and the page made of them."""

from __future__ import annotations

import inspect
import json
import pkgutil
from pathlib import Path

import pytest

import ipse.claims
from ipse import papers
from ipse.claims import Claim
from ipse.claims.__main__ import main
from ipse.claims.harness.claim import known, load
from ipse.claims.harness.record import Record

ROOT = Path(__file__).parents[2]
RESULTS = sorted((ROOT / "results").glob("*.json"))


def test_every_file_belongs_to_a_paper() -> None:
    files = {info.name for info in pkgutil.iter_modules(ipse.claims.__path__)} - {"__main__", "harness"}
    assert files == {name.rpartition(".")[2] for name in known().values()}


@pytest.mark.parametrize("key", known())
def test_a_claim_file_has_its_two_parts(key: str) -> None:
    _, claim, run = load(key)
    assert isinstance(claim, Claim)
    assert list(inspect.signature(run).parameters) == ["seed", "long"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_is_whole_and_its_verdict_follows_from_its_values(path: Path) -> None:
    record = Record.read(path)
    assert record.key == path.stem
    assert record.key in papers.everything()
    assert papers.verdict(papers.find(record.key)) == record.verdict
    assert {"python", "torch", "ipse", "numpy", "timm"} <= {name for name, version in record.versions.items() if version}
    assert len(record.seeds) >= 2
    assert record.seconds > 0
    assert not any(word in json.dumps(record.__dict__) for word in ("/root", "/home", "/tmp"))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_is_of_the_claim_as_it_stands(path: Path) -> None:
    record, claim = Record.read(path), load(path.stem).claim
    for name in ("statement", "setting", "measure", "unit", "kind", "bound", "tried"):
        assert getattr(record, name) == getattr(claim, name), f"{name} has changed since the claim was tested: test it again"


def test_the_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0, "run `python -m ipse.claims`"
