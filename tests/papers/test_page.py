from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ipse import papers
from ipse.papers import JOBS, Paper, everything, search
from ipse.papers import page as page_module
from ipse.papers.page import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """The articles of a page, in order: what is shown and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown: list[str] = []
        self.texts: dict[str, str] = {}
        self.links: list[str] = []
        self.addresses: list[str] = []
        self._open = ""
        self._hidden_section = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("src", "href") if name in values]
        if tag == "section":
            self._hidden_section = "hidden" in values
        if tag == "article":
            self._open = values["id"] or ""
            self.texts[self._open] = ""
            if "hidden" not in values and not self._hidden_section:
                self.shown.append(self._open)
        if tag == "a" and self._open:
            self.links.append(values["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open] += data


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "dcl.json").write_text(json.dumps({"verdict": "not shown"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(papers, "_results", lambda: folder)
        return write_page(folder / "new" / "papers.html")


def test_page_holds_everything(path: Path) -> None:
    page = Page(path.read_text(encoding="utf-8"))
    assert set(page.texts) == set(everything())
    for paper in everything().values():
        text = page.texts[paper.key]
        for part in (paper.title, paper.ref, paper.summary, paper.entry or "not yet"):
            assert part in text
        assert not paper.url or paper.url in page.links
    assert "claim: not shown" in page.texts["dcl"]


def test_page_loads_nothing_from_elsewhere(path: Path) -> None:
    page = Page(path.read_text(encoding="utf-8"))
    assert {address.split(":")[0] for address in page.addresses if not address.startswith("#")} == {"https", "data"}
    assert {address for address in page.addresses if address.startswith("https")} <= {p.url for p in everything().values()}
    assert "@import" not in path.read_text(encoding="utf-8")


def test_everything_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = "\"'><script>alert(1)</script>&"
    monkeypatch.setattr(page_module, "everything", lambda: {"k": Paper("k", bad, bad, "study", bad, (bad,), bad, bad)})
    text = write_page(tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<script>") == 1
    assert bad in Page(text).texts["k"]


def test_module_writes_the_page(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ipse.papers.page", "out.html"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout == "out.html\n"
    assert (tmp_path / "out.html").stat().st_size > 100_000


def test_every_job_has_a_section(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [job for job in JOBS if f'id="job-{job}"' not in text] == []


@pytest.fixture(scope="module")
def browse(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[str]]:
    """Keys shown, in order, once a browser has drawn the page for some words; fails on any message in its console."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    flags = "headless=new no-sandbox disable-gpu disable-dev-shm-usage disable-background-networking no-first-run"
    command = [CHROMIUM, *(f"--{flag}" for flag in flags.split()), "--enable-logging=stderr", "--virtual-time-budget=2000"]

    def shown(**words: str) -> list[str]:
        profile = tmp_path_factory.mktemp("profile")  # one each: the browser before may still hold its own
        page = [f"--user-data-dir={profile}", "--dump-dom", f"{path.as_uri()}?{urlencode(words)}"]
        run = subprocess.run([*command, *page], capture_output=True, text=True, check=True, timeout=120)
        assert re.findall(r".*CONSOLE.*", run.stderr) == []
        return Page(run.stdout).shown

    return shown


def test_browser_shows_everything_at_first(browse: Callable[..., list[str]]) -> None:
    assert set(browse()) == set(everything())


def test_browser_ranks_as_the_terminal_does(browse: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "has_model", lambda: False)
    found = browse(q="noise without clean images ")
    assert [everything()[key].job for key in found[:5]] == ["restore"] * 5
    assert {paper.key for paper, _ in search.search("noise without clean images", limit=4)} <= set(found[:6])
    assert len(found) < 60


def test_browser_finds_half_words_and_filters(browse: Callable[..., list[str]]) -> None:
    found = browse(q="contrastiv", modality="audio", job="pretrain", code="no")
    assert found
    for paper in (everything()[key] for key in found):
        assert (paper.job, paper.entry) == ("pretrain", None)
        assert {"audio", "any"} & set(paper.modality)


def test_browser_filters_by_verdict(browse: Callable[..., list[str]]) -> None:
    assert browse(claim="not shown") == ["dcl"]
