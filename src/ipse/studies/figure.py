"""Curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
WIDTH, HEIGHT, LEFT, TOP, LINE = 640, 300, 50, 24, 18


def lines(curves: Mapping[str, Sequence[float]], title: str, x: str, y: str, first: float = 0, step: float = 1) -> str:
    """An SVG with one line per name, the names beneath: values at first, first + step, ... on one scale that starts at 0.

    >>> lines({"a": [0.0, 1.0]}, "rise", "step", "value").count("<polyline")
    1
    """
    most = max((v for curve in curves.values() for v in curve), default=0.0) or 1.0
    longest = max((len(curve) for curve in curves.values()), default=0)
    wide, high, bottom = WIDTH - LEFT - 10, HEIGHT - TOP - 40, HEIGHT - 40
    parts = [
        _text(LEFT, 15, title),
        _text(WIDTH - 10, bottom + 15, f"{x}, {first:g} to {first + (longest - 1) * step:g}", "end"),
    ]
    parts += [
        _text(LEFT - 5, bottom, "0", "end"),
        _text(LEFT - 5, TOP + 10, f"{most:.3g}", "end"),
        _text(5, bottom - high / 2, y),
    ]
    parts.append(f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - 10}" fill="none" stroke="#888"/>')
    for i, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        dashes = ' stroke-dasharray="4 3"' if i >= len(COLOURS) else ""
        places = " ".join(
            f"{LEFT + wide * k / max(longest - 1, 1):.1f},{bottom - high * value / most:.1f}" for k, value in enumerate(curve)
        )
        parts.append(f'<polyline points="{places}" fill="none" stroke="{colour}"{dashes}/>')
        parts.append(_text(LEFT, HEIGHT + i * LINE, name, fill=colour))
    size = f'width="{WIDTH}" height="{HEIGHT + len(curves) * LINE}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">{"".join(parts)}</svg>\n'


def _text(x: float, y: float, text: str, anchor: str = "start", fill: str = "#333") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
