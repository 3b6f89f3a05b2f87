"""The catalogue as one static, self-contained HTML page with search and filters: `python -m ipse.papers.page OUT.html`."""

from __future__ import annotations

import sys
from pathlib import Path

from ipse.papers import JOBS, baselines, catalogue, everything, verdict
from ipse.papers.words import DOUBLE, ENDING, STOP, WORD


def write_page(path: str | Path) -> Path:
    """Write the page (its folder is made) and return its path. Everything from the catalogue is escaped by the template."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
    papers = sorted(everything().values(), key=lambda p: (p.entry is None, p.key))
    page = template.render(
        groups={job: (what, [p for p in papers if p.job == job]) for job, what in JOBS.items()},
        modalities=sorted({name for p in papers for name in p.modality} - {"any"}),
        claims={p.key: verdict(p) for p in papers},
        baselines=baselines(),
        papers=len(catalogue()),
        running=sum(p.entry is not None for p in catalogue().values()),
        patterns={"word": WORD, "ending": ENDING, "double": DOUBLE, "stop": sorted(STOP)},
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")
    return path


if __name__ == "__main__":
    print(write_page(*sys.argv[1:2] or ["papers.html"]))
