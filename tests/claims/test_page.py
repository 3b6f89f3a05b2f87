from __future__ import annotations

from pathlib import Path

import pytest

from ipse.claims import Claim
from ipse.claims.__main__ import main
from ipse.claims.harness.claim import known
from ipse.claims.harness.page import page
from ipse.claims.harness.record import Record, Trial
from ipse.errors import UserError


def record(key: str, *values: tuple[float, float], **words: object) -> Record:
    usual = {"statement": f"{key} wins", "setting": "numbers", "measure": "accuracy", "tried": "two | rates < 1", "unit": "%"}
    trials = [Trial(seed, {"A|B": a, "C": c, "rank": 12.0}, 90.0) for seed, (a, c) in enumerate(values)]
    return Record.of(key, Claim(**(usual | words)), trials, long=False, date="2026-11-22")  # type: ignore[arg-type]


RECORDS = [
    record("w-mse", (0.5, 0.4), (0.6, 0.4)),
    record("dcl", (0.5, 0.4), (0.501, 0.4)),
    record("rankme", (0.3, 0.4), (0.301, 0.4), kind="at_least", bound=0.5),
]


def test_counts_table_and_sections() -> None:
    lines = page(RECORDS).splitlines()
    assert "3 claims: **holds** 1, **not shown** 1, **opposite** 1." in lines
    table = [line for line in lines if line.startswith("| [")]
    assert [line.split("]")[0] for line in table] == ["| [dcl", "| [w-mse", "| [rankme"], "in the order of the catalogue"
    assert table[0] == (
        "| [dcl](#dcl) | dcl wins | numbers; accuracy | A\\|B 50.0% | C 40.0% "
        "| +10.05 points [+9.41, +10.69] | **holds** | 2 | 3.0 |"
    )
    assert "| claimed ≥ 50.0% | 30.0% [29.4%, 30.7%] | **opposite** |" in table[2]
    assert [line for line in lines if line.startswith("## ")] == ["## dcl", "## w-mse", "## rankme"]
    assert "| A\\|B | 50.0% | 50.1% | 50.0% |" in lines
    assert "| rank | 12 | 12 | 12 |" in lines
    assert "**Tried**: two | rates &lt; 1" in lines
    assert any("sign flips p = 0.5 (2 seeds can give 0.5 at best)" in line for line in lines)
    assert any("Decoupled Contrastive Learning" in line for line in lines)


def test_every_row_of_a_table_has_as_many_cells() -> None:
    blocks = [block.splitlines() for block in page(RECORDS).split("\n\n") if block.startswith("|")]
    assert len(blocks) == 4
    for block in blocks:
        assert len({line.replace("\\|", "").count("|") for line in block}) == 1


def test_order_of_records_does_not_matter() -> None:
    assert page(RECORDS) == page(RECORDS[::-1])


def test_no_results_yet_and_one_seed() -> None:
    assert "0 claims: **holds** 0" in page([])
    assert "not tested yet" not in page([])
    assert "no interval from one seed" in page([record("dcl", (0.5, 0.4))])


def test_a_paper_that_is_not_in_the_catalogue() -> None:
    with pytest.raises(UserError, match=r"results/dlc\.json"):
        page([record("dlc", (0.5, 0.4))])


def test_check_says_when_the_page_is_out_of_date(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 2
    assert capsys.readouterr().err == "ipse: error: no folder results here: results are read in a checkout\n"
    (tmp_path / "results").mkdir()
    RECORDS[0].write(Path("results/w-mse.json"))
    assert main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert not Path("docs").exists()
    assert main([]) == 0
    waiting = [key for key in known() if key != "w-mse"]
    assert Path("docs/RESULTS.md").read_text() == page(RECORDS[:1], waiting)
    assert f"Written and not tested yet: {', '.join(waiting)}." in Path("docs/RESULTS.md").read_text()
    assert main(["--check"]) == 0
    RECORDS[1].write(Path("results/dcl.json"))
    assert main(["--check"]) == 1
    assert main([]) == main(["--check"]) == 0
