"""The catalogue as plain text for a terminal."""

from __future__ import annotations

import shutil
import textwrap

from ipse.papers import JOBS, Paper, baselines, catalogue, find, verdict
from ipse.papers.search import has_model, search

CLAIMS = {"holds": "✓", "not shown": "~", "opposite": "✗", "": " "}
LEGEND = "● has code  ○ not yet   claim: ✓ holds  ~ not shown  ✗ opposite"

_TRY = {
    "method": "ipse pretrain photos/ --method {key}",
    "regularizer": "ipse pretrain photos/ --method simclr --plus {key}",
    "schedule": "ipse pretrain photos/ --schedule {key}",
    "metric": "ipse evaluate RUN --metrics {key}",
    "selftrain method": "ipse selftrain photos/ --labels few.csv --method {key}",
    "distill method": "ipse distill RUN photos/ --method {key}",
    "adapt method": "ipse adapt RUN photos/ --method {key}",
    "restore method": "ipse restore photos/ --method {key}",
    "forget method": "ipse forget RUN --forget list.csv --method {key}",
}


def list_text(width: int | None = None) -> str:
    """All papers by job, one line each, then the baselines and the meaning of the marks."""
    width = width or _terminal()
    papers = catalogue().values()
    groups = {f"{job}: {what}": [p for p in papers if p.job == job] for job, what in JOBS.items()}
    groups["beside them: baselines, measures, schedules"] = list(baselines().values())
    blocks = [_group(head, group, width) for head, group in groups.items()]
    total = f"{len(papers)} papers, {sum(p.entry is not None for p in papers)} with code.  {LEGEND}"
    hint = "ipse papers show KEY for one, ipse papers search WORDS to find some"
    return "\n\n".join([*blocks, textwrap.fill(total, width) + "\n" + _cut(hint, width)])


def show_text(key: str, width: int | None = None) -> str:
    """One paper in full; UserError when there is none of that key."""
    paper, width = find(key), width or _terminal()
    fields = {
        "title": paper.title,
        "by": paper.ref,
        "at": paper.url,
        "what": paper.summary,
        "job": f"{paper.job} ({JOBS[paper.job]})",
        "kind": paper.kind,
        "modality": ", ".join(paper.modality),
        "code": paper.entry or "not yet",
        "claim": verdict(paper) or "not reproduced yet",
        "try": _TRY.get(paper.role, "").format(key=paper.key),
    }
    lines = [_field(name, value, width) for name, value in fields.items() if value]
    return "\n".join([f"{_marks(paper)} {paper.key}", *lines])


def search_text(words: str, width: int | None = None, limit: int = 10) -> str:
    """The best answers with their summaries, best first."""
    width = width or _terminal()
    blocks = [_answer(place, paper, width) for place, (paper, _) in enumerate(search(words, limit), 1)]
    if not blocks:
        blocks = [f"nothing in the catalogue has a word of {words!r}"]
    if not has_model():
        blocks.append(textwrap.fill("Ranked by words. To rank by meaning too: pip install 'ipse[search]'", width))
    return "\n\n".join(blocks)


def _group(head: str, papers: list[Paper], width: int) -> str:
    column = min(32, max(len(p.key) for p in papers))
    says = {p.key: p.summary if p.key in baselines() else p.title for p in papers}
    lines = [_cut(f"{_marks(p)} {p.key:{column}}  {says[p.key]}", width) for p in papers]
    count = f"{len(papers)} papers" if len(papers) > 1 else "1 paper"
    return "\n".join([*textwrap.wrap(f"{head} · {count}", width), *lines])


def _answer(place: int, paper: Paper, width: int) -> str:
    head = _cut(f"{place:2} {_marks(paper)} {paper.key} · {paper.job} · {paper.title}", width)
    return f"{head}\n{textwrap.fill(paper.summary, width, initial_indent=' ' * 7, subsequent_indent=' ' * 7)}"


def _marks(paper: Paper) -> str:
    return f"{'●' if paper.entry else '○'} {CLAIMS.get(verdict(paper), '?')}"


def _field(name: str, value: str, width: int) -> str:
    indent = f"    {name:<10}"
    return textwrap.fill(
        value, width, initial_indent=indent, subsequent_indent=" " * len(indent), break_long_words=False, break_on_hyphens=False
    )


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"


def _terminal() -> int:
    return max(40, shutil.get_terminal_size().columns)
