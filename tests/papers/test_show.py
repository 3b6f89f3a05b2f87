from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ipse import papers
from ipse.errors import UserError
from ipse.papers import JOBS, everything, search
from ipse.papers.show import LEGEND, list_text, search_text, show_text


@pytest.fixture(autouse=True)
def _by_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in ("ipse.papers.search", "ipse.papers.show"):
        monkeypatch.setattr(f"{module}.has_model", lambda: False)
    monkeypatch.setattr(papers, "_results", lambda: tmp_path)
    (tmp_path / "dcl.json").write_text(json.dumps({"verdict": "holds"}))


@pytest.mark.parametrize("width", [40, 72, 100, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    texts = [list_text(width), search_text("noise", width), *(show_text(key, width) for key in ("dcl", "slot-tta"))]
    long = [line for text in texts for line in text.splitlines() if len(line) > width]
    assert [line for line in long if " " in line.strip()[14:]] == []


def test_list_has_every_job_and_paper() -> None:
    text = list_text(100)
    lines = text.splitlines()
    assert {line.split(":")[0] for line in lines if line.endswith("papers")} == {*JOBS, "beside them"}
    assert "decode: generate text faster with the model's own layers, output unchanged · 3 papers" in lines
    listed = {line[4:].split()[0] for line in lines if line.startswith(("● ", "○ "))}
    assert listed == set(everything())
    assert any(line.startswith("● ✓ dcl ") for line in lines)
    assert any(line.startswith("○   layerskip ") for line in lines)
    assert LEGEND in text
    assert "\x1b" not in text


def test_show_says_all_there_is() -> None:
    text = show_text("dcl", 200)
    for part in (
        "● ✓ dcl",
        "Decoupled Contrastive Learning",
        "https://arxiv.org/abs/2110.06848",
        "ipse.methods.pretrain.dcl:DCL",
        "holds",
    ):
        assert part in text
    assert "ipse pretrain photos/ --method dcl" in text
    assert "not yet" in show_text("layerskip", 200)
    with pytest.raises(UserError, match="did you mean 'noiser'"):
        show_text("noisr")


def test_search_shows_summaries_and_how_to_rank_by_meaning() -> None:
    text = search_text("noise without clean images", 100, limit=3)
    assert text.startswith(" 1 ●   generalized-r2r · restore · ")
    assert re.search(r"^ 3 [●○]", text, re.MULTILINE)
    assert not re.search(r"^ 4 [●○]", text, re.MULTILINE)
    assert "pip install 'ipse[search]'" in text
    assert search_text("zzyzx", 100).startswith("nothing in the catalogue has a word of 'zzyzx'")
    with pytest.raises(UserError):
        search_text("the", 100)


def test_width_follows_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "66")
    assert list_text() == list_text(66)
    assert search.search("noise")
