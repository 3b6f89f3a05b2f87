"""What a report says of a classifier."""

from __future__ import annotations

import math

import numpy as np

from ipse.reports import Report, Verdicts, write
from ipse.reports.verdicts import Bin, bins

CONFUSION = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])


def test_the_table_shades_shares_of_a_class() -> None:
    table = Verdicts(("a", "b", "c"), CONFUSION).table
    assert table[0] == ("a", [(3, 3), (1, 1), (0, 0)], 0.75)
    assert table[1][2] == 1.0
    assert math.isnan(table[2][2])


def test_mistakes_of_many_classes_are_listed() -> None:
    confusion = np.diag(np.full(30, 5))
    confusion[4, 7], confusion[9, 2] = 2, 3
    many = Verdicts([f"c{i}" for i in range(30)], confusion)
    assert many.table == []
    assert many.mistakes == [("c9", "c2", 3), ("c4", "c7", 2)]
    assert many.samples == 155


def test_empty_bins_are_left_out() -> None:
    assert bins([float("nan"), 0.9], [float("nan"), 0.5], [0, 2]) == [Bin(0.9, 0.5, 2)]


def test_a_page_with_nasty_class_names(tmp_path) -> None:  # type: ignore[no-untyped-def]
    nasty = ("<script>alert(1)</script>", "b", "c")
    models = [{"name": "teacher", "parameters": 12_345, "multiply_adds": 6, "accuracy": None}]
    verdicts = Verdicts(nasty, CONFUSION, [Bin(0.9, 0.5, 8)], [Bin(0.99, 0.5, 8)], models)
    page = write(Report(title="t", verdicts=verdicts), tmp_path / "r.html").read_text()
    assert "<script>alert" not in page
    assert "12,345" in page
    assert page.count('class="dot"') == page.count('class="ring"') == 1
    empty = write(Report(title="t", verdicts=Verdicts()), tmp_path / "e.html").read_text()
    assert "how often it is right is not known" in empty
    assert 'id="classes"' not in write(Report(title="t"), tmp_path / "n.html").read_text()
