"""All records as one page of Markdown: docs/RESULTS.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

from ipse import papers
from ipse.claims.harness.record import Record
from ipse.claims.harness.spoken import claimed, counted, effect, mean, number, plain, span
from ipse.claims.harness.statistics import Verdict
from ipse.errors import UserError

_HEAD = """\
# Results

<!-- Written by `python -m ipse.claims` from results/; changes by hand are lost. -->

Each paper's claim is tested in miniature against its baseline, with the same seeds, samples and compute for both.
{counts}

- **effect**: the mean over the seeds of ours - baseline (or of ours, where the claim is a number to reach), with its 95%
  interval: what the paired bootstrap (10,000 resamples) and Student's interval cover together, since the bootstrap alone is too
  narrow for few seeds.
- **verdict**: *holds* when the whole interval lies where the claim says, *opposite* when all of it lies on the other side, else
  *not shown*: at this scale and with these seeds, the data decides neither way.
- `ipse reproduce PAPER` runs a claim again.
"""

_COLUMNS = ("paper", "claim", "setting", "ours", "baseline", "effect [95% interval]", "verdict", "seeds", "minutes")


def page(records: Iterable[Record], waiting: Sequence[str] = ()) -> str:
    """The page: how many claims came out how, a table of them in the order of the catalogue, and a section for each.

    waiting: the papers whose claim is written and has not been tested yet. Raises UserError for a record of a paper that the catalogue does not have.
    """
    order = {key: place for place, key in enumerate(papers.everything())}
    records = list(records)
    if strange := [record.key for record in records if record.key not in order]:
        raise UserError(f"results/{strange[0]}.json: the catalogue has no paper of this key")
    records.sort(key=lambda record: order[record.key])
    parts = [_HEAD.format(counts=_counts(records))]
    if waiting:
        parts.append(_text(f"Written and not tested yet: {', '.join(waiting)}.") + "\n")
    if records:
        parts += [_table([_COLUMNS, *map(_row, records)]) + "\n", *map(_section, records)]
    return "\n".join(parts)


def _counts(records: Sequence[Record]) -> str:
    came = {verdict: sum(record.verdict == verdict for record in records) for verdict in get_args(Verdict)}
    return f"{counted(len(records), 'claim')}: " + ", ".join(f"**{verdict}** {count}" for verdict, count in came.items()) + "."


def _row(record: Record) -> list[str]:
    ours, *baseline = (f"{name} {number(mean(values), record.unit)}" for name, values in record.arms.items())
    return [
        f"[{record.key}](#{record.key})",
        record.statement,
        f"{record.setting}; {record.measure}",
        ours,
        baseline[0] if baseline else f"claimed {claimed(record).removeprefix(next(iter(record.arms)))}",
        effect(record),
        f"**{record.verdict}**",
        str(len(record.seeds)),
        f"{record.seconds / 60:.1f}",
    ]


def _section(record: Record) -> str:
    paper = papers.find(record.key)
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items() if version)
    paragraphs = [
        f"## {record.key}",
        _text(f"*{paper.title}*, {paper.ref}"),
        _text(f"**Claim**: {record.statement}"),
        _text(f"**Setting**: {record.setting}; {record.measure}{'; the long form' if record.long else ''}"),
        _values(record),
        _text(f"**Claimed**: {claimed(record)}. **Found**: {effect(record)}, **{record.verdict}**."),
        *([_text(_certainty(record))] if record.interval else []),
        _text(f"**Tried**: {record.tried}"),
    ]
    where = (
        f"{record.date}, {record.seconds / 60:.1f} minutes on {counted(record.cores, 'core')} of {record.processor}; {versions}"
    )
    return "\n\n".join([*paragraphs, _text(where)]) + "\n"


def _values(record: Record) -> str:
    """Every seed's values, a row for each arm and further number."""
    rows = [["seed", *map(str, record.seeds), "mean"]]
    rows += [[name, *(number(v, record.unit) for v in [*x, mean(x)])] for name, x in record.arms.items()]
    rows += [[name, *(plain(v) for v in [*x, mean(x)])] for name, x in record.also.items()]
    return _table(rows)


def _certainty(record: Record) -> str:
    """Both intervals, and what can be said without assuming normal noise."""
    alone = {"Bootstrap": record.bootstrap, "Student's interval": record.student}
    parts = [f"{name} alone {span(interval, record)}" for name, interval in alone.items() if interval]
    if record.sign_flips is not None:
        least = plain(2 / 2 ** len(record.seeds))
        parts.append(f"sign flips p = {plain(record.sign_flips)} ({len(record.seeds)} seeds can give {least} at best)")
    return "; ".join(parts) + "."


def _table(rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, its first row the head."""
    lines = [f"| {' | '.join(_text(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _text(text: str) -> str:
    """One line without markup of HTML."""
    return " ".join(text.split()).replace("<", "&lt;")
