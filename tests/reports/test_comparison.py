from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from ipse.reports.comparison import Comparison, ComparisonPage, picture, write_comparison


def page(**words: object) -> ComparisonPage:
    versions = [
        ("before", picture(Image.new("RGB", (8, 6)))),
        ("<after>", picture(Image.new("RGB", (8, 6), "red"), b"profile")),
    ]
    one = Comparison("a&b.png", versions, ["noiser", "dark"], [("PSNR", ["5.0 dB", "15.0 dB"])], 8, 6)
    return ComparisonPage("a&b.png", "1 file restored", "ipse restore 'a&b.png'", [one], **words)  # type: ignore[arg-type]


def test_the_page_holds_everything_and_loads_nothing(tmp_path: Path) -> None:
    write_comparison(page(skipped=[("cut.png", "the file is truncated")], notes=["note"]), tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "a&amp;b.png" in text
    assert "&lt;after&gt;" in text
    assert "15.0 dB" in text
    assert "the file is truncated" in text
    assert "addEventListener" in text
    assert not re.search(r'(src|href)="(?!data:)', text)
    write_comparison(page(skipped=[("cut.png", "the file is truncated")], notes=["note"]), tmp_path / "b.html")
    assert (tmp_path / "b.html").read_bytes() == (tmp_path / "a.html").read_bytes()


def test_what_is_empty_is_left_out(tmp_path: Path) -> None:
    write_comparison(page(), tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "Not restored" not in text
    assert 'class="beside"' not in text  # two versions are under the slider already
