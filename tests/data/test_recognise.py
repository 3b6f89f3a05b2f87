"""What a table is, by its first rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ipse.data.recognise import find_label, what
from ipse.errors import UserError

RNG = np.random.default_rng(0)
N = 60
DAYS = pd.date_range("2024-01-01", periods=N, freq="1min")
NOISE = RNG.normal(size=(N, 40))
WALK = NOISE.cumsum(1)


def frame(**columns):
    return pd.DataFrame(columns)


def wide(x, name):
    return pd.DataFrame(x, columns=[name.format(i) for i in range(x.shape[1])])


@pytest.mark.parametrize(
    ("head", "layout", "channels"),
    [
        (frame(time=DAYS, a=NOISE[:, 0], b=NOISE[:, 1]), "recording", ("a", "b")),
        (frame(time=DAYS[::-1], a=NOISE[:, 0]), "recording", ("a",)),
        (frame(when=DAYS, a=NOISE[:, 0]), "recording", ("a",)),
        (frame(t=np.arange(N) * 0.02, x=NOISE[:, 0], y=NOISE[:, 1], z=NOISE[:, 2]), "recording", ("x", "y", "z")),
        (frame(sampled=np.arange(N) * 0.5 + 3, a=NOISE[:, 0]), "recording", ("a",)),
        (frame(ds=DAYS, target=NOISE[:, 0]), "recording", ("target",)),
        (frame(time=DAYS, a=NOISE[:, 0], state=["on", "off"] * 30), "recording", ("a",)),
        (frame(unique_id=["a"] * 30 + ["b"] * 30, ds=list(DAYS[:30]) * 2, v=NOISE[:, 0]), "long", ("v",)),
        (frame(subject=np.repeat([1.0, 2.0], 30), t=list(range(30)) * 2, v=NOISE[:, 0]), "long", ("v",)),
        (frame(place=["a", "b"] * 30, date=np.repeat(DAYS[:30], 2), v=NOISE[:, 0]), "long", ("v",)),
        (frame(subject=[7.0] * N, t=np.arange(N), v=NOISE[:, 0]), "long", ("v",)),
        (frame(time=np.repeat(DAYS[:30], 2), variable=["a", "b"] * 30, value=NOISE[:, 0]), "tall", ("value",)),
        (wide(NOISE, "t{}"), "rows", tuple(f"t{i}" for i in range(40))),
        (wide(NOISE, "value_{:03d}"), "rows", tuple(f"value_{i:03d}" for i in range(40))),
        (wide(WALK, "{}"), "rows", tuple(map(str, range(40)))),
        (wide(WALK, "x{}").assign(label=1.0, age=3.0), "rows", tuple(f"x{i}" for i in range(40))),
    ],
)
def test_series(head, layout, channels):
    found = what(head)
    assert (found.modality, found.layout, found.channels) == ("series", layout, channels), found.reason
    assert found.reason.startswith("series: ")


@pytest.mark.parametrize(
    "head",
    [
        frame(age=NOISE[:, 0], city=["a", "b"] * 30),
        frame(a=NOISE[:, 0], b=NOISE[:, 1], c=NOISE[:, 2]),
        frame(id=np.arange(N), a=NOISE[:, 0]),
        frame(row=np.arange(1.0, N + 1), a=NOISE[:, 0]),
        frame(customer=[f"c{i}" for i in range(N)], joined=DAYS, age=NOISE[:, 0]),
        frame(age=NOISE[:, 0], time=RNG.integers(0, 9, N).astype(float), dead=["no", "yes"] * 30),
        wide(NOISE, "{}"),
        wide(NOISE, "V{}"),
        wide(WALK, "pixel{}"),
        wide(WALK[:, :12], "t{}"),
    ],
)
def test_tables(head):
    assert what(head).layout == "table", what(head).reason


def test_the_first_column_of_a_ucr_file_is_the_label():
    head = wide(np.concatenate([RNG.integers(1, 3, (N, 1)), WALK], 1), "{}")
    found = what(head)
    assert (found.layout, found.label, found.channels[0], len(found.channels)) == ("rows", "0", "1", 40)


def test_the_user_knows_better():
    assert what(frame(time=DAYS, a=NOISE[:, 0]), "table").layout == "table"
    assert what(wide(NOISE, "V{}"), "series").layout == "rows"
    assert what(frame(a=NOISE[:, 0], b=NOISE[:, 1]), "series").layout == "recording"
    assert what(frame(case=["a", "b"] * 30, b=NOISE[:, 1]), "series").id == "case"
    with pytest.raises(UserError, match="expected columns of numbers for --modality series, got city"):
        what(frame(city=["a", "b"]), "series")


def test_reasons_are_plain():
    assert what(frame(time=DAYS, a=NOISE[:, 0])).reason == "series: column 'time' runs in steps of 60 s"
    assert what(frame(subject=["a", "b"] * 30, t=np.arange(N) // 2, v=NOISE[:, 0])).reason == (
        "series: one for each 'subject', in the order of 't'"
    )
    assert what(wide(NOISE, "t{}")).reason == "series: the columns 't0' to 't39' are the 40 steps of one series a row"


@pytest.mark.parametrize(
    ("names", "label"),
    [(["a", "Label"], "Label"), (["x", "y", "z"], None), (["a", "y"], "y"), (["target", "class"], "class"), (["a"], None)],
)
def test_labels_by_name(names, label):
    assert find_label(names) == label


def test_an_activity_beside_channels_is_the_label():
    found = what(frame(time=DAYS, a=NOISE[:, 0], label=["walk", "run"] * 30))
    assert (found.label, found.channels) == ("label", ("a",))
