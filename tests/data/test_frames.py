"""Tables read piece by piece, whatever is wrong with them."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from ipse.data import frame_files
from ipse.data.cells import Profile, cells, codes
from ipse.data.frame_files import FileFrames
from ipse.data.frames import MemoryFrames
from ipse.data.wanted import Files, NothingLeftError
from ipse.errors import UserError


@pytest.fixture
def read(tmp_path):
    """Reads files: the columns by name (numbers, or texts where there are texts), notes and what was skipped."""

    def make(*contents, name="a.csv"):
        names = [name.replace("a", letter, 1) for letter, _ in zip("abc", contents, strict=False)]
        for one, content in zip(names, contents, strict=True):
            (tmp_path / one).write_bytes(content if isinstance(content, bytes) else content.encode())
        table, skipped = FileFrames.of("it", Files(tmp_path, names, "train")), []
        columns = {column: [] for column in table.columns}
        for piece in table.pieces(skipped):
            for column, values in columns.items():
                found = piece.cells(column)
                values += found.numbers.tolist() if found.text is None else found.text.to_pylist()
        return columns, [(s.name, s.reason) for s in table.notes + skipped]

    return make


def same(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_equal(found[name], values)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2.5,y\n",
        "a;b\n1,0;x\n2,5;y\n",
        "a\tb\r\n1\tx\r\n2.5\ty\r\n",
        "a|b\n1|x\n2.5|y",
        '\ufeff"a","b"\n"1","x"\n"2.5","y"\n\n',
        "a,b\n 1 , x\n2.5, y\n",
    ],
)
def test_delimiters(read, text):
    columns, skipped = read(text)
    same(columns, {"a": [1, 2.5], "b": ["x", "y"]})
    assert skipped == []


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_encodings(read, encoding):
    assert read("städte,größe\nKöln,1\n".encode(encoding))[0] == {"städte": ["Köln"], "größe": [1.0]}


def test_packed(read):
    assert read(gzip.compress(b"a,b\n1,2\n"), name="a.csv.gz")[0] == {"a": [1.0], "b": [2.0]}


def test_without_a_header(read):
    assert read("1,2.5\n3,4\n")[0] == {"0": [1, 3], "1": [2.5, 4]}
    assert read("0,1,2\n3,4,5\n")[0] == {"0": [3], "1": [4], "2": [5]}  # numbers that run on are names


def test_ragged_rows_are_named(read):
    columns, skipped = read("a,b,c\n1,2,3\n4,5\n6,7,8,9\n10,11,12\n")
    same(columns, {"a": [1, 10], "b": [2, 11], "c": [3, 12]})
    assert skipped == [("a.csv, row 3", "2 fields, expected 3"), ("a.csv, row 4", "4 fields, expected 3")]


def test_many_ragged_rows_are_counted(read):
    _, skipped = read("a,b\n" + "1,2\n" * 900 + "1\n" * 250)
    assert len(skipped) == 101
    assert skipped[-1] == ("a.csv, 150 more rows", "another number of fields than the header has")


def test_missing_numbers(read):
    columns, _ = read("a,b\n1,x\n,?\nNaN,NA\ninf,y\n-inf,null\n+1e3,\n")
    same(columns, {"a": [1, np.nan, np.nan, np.nan, np.nan, 1000], "b": ["x", None, None, "y", None, None]})


def test_names_of_columns(read):
    columns, skipped = read("a,a,,a.1\n1,2,3,4\n")
    assert list(columns) == ["a", "a.2", "column 3", "a.1"]
    assert skipped == [("column a", "another column has this name: it is called a.2")]


def test_names_of_rows_without_a_name(read):
    assert read("a,b\nr1,1,2\nr2,3,4\n")[0] == {"column 1": ["r1", "r2"], "a": [1, 3], "b": [2, 4]}


def test_new_lines_in_cells(read):
    assert read('a,b\n"x\ny",1\n')[0] == {"a": ["x\ny"], "b": [1.0]}


def test_dates(read):
    assert read("t\n1970-01-02\n1970-01-01 00:01:00\n")[0] == {"t": [86400, 60]}
    assert read("t,v\n02.01.1970,1\n03.01.1970,2\n")[0]["t"] == [86400, 2 * 86400]
    assert read("t,v\n1970-01-01T01:00:00+01:00,1\n")[0]["t"] == [0]


def test_parts_of_one_table(read):
    columns, _ = read("a,b\n1,2\n", "b,c\n3,4\n")
    same(columns, {"a": [1, np.nan], "b": [2, 3], "c": [np.nan, 4]})


@pytest.mark.parametrize(
    ("content", "reason"), [("", "the file is empty"), ("\n\n", "the file is empty"), (b"\x00\x01\x02", "the file is no text")]
)
def test_nothing_to_read(read, content, reason):
    with pytest.raises(NothingLeftError, match=f"cannot read it: {reason}"):
        read(content)
    assert read("a\n1\n", content)[1] == [("b.csv", reason)]


def test_a_broken_parquet_file(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(NothingLeftError, match="cannot read it: the parquet file is broken"):
        FileFrames.of("it", Files(tmp_path, ["a.parquet"], "train"))


def test_pieces_are_like_the_whole(read, monkeypatch):
    text = "a,b\n" + "".join(f"{i},{i % 7}x\n" for i in range(2000))
    whole, _ = read(text)
    monkeypatch.setattr(frame_files, "_BLOCK", 1000)
    assert read(text)[0] == whole


def test_a_data_frame():
    df = pd.DataFrame(
        {
            "n": [1, 2],
            "mixed": [1, "x"],
            "flag": [True, False],
            "kind": pd.Categorical(["a", "b"]),
            "day": pd.to_datetime(["1970-01-02", None]),
            "span": pd.to_timedelta([1, 2], unit="s"),
            "list": [[1], [2]],
            3: [None, None],
        }
    )
    piece = next(MemoryFrames("df", df).pieces([]))
    numbers = {name: piece.cells(name).numbers for name in ("n", "day", "span", "3")}
    np.testing.assert_equal(numbers, {"n": [1, 2], "day": [86400, np.nan], "span": [1, 2], "3": [np.nan, np.nan]})
    assert [piece.cells(name).text.to_pylist() for name in ("mixed", "flag", "kind")] == [
        ["1", "x"],
        ["true", "false"],
        ["a", "b"],
    ]
    assert piece.cells("list") is None
    with pytest.raises(UserError, match="df is empty: it has 0 rows and 8 columns"):
        MemoryFrames("df", df.iloc[:0])


def test_codes_are_those_of_the_values():
    number = {"1": 0, "2": 1, "x": 2}
    for values in (["1", "2.0", None, "x"], ["1.0", " 2", "", "x"]):
        assert codes(cells(pa.array(values)), number.__getitem__).tolist() == [0, 1, -1, 2]
    assert codes(cells(pa.array([1.0, 2.0, None, 2.0])), number.__getitem__).tolist() == [0, 1, -1, 1]


def profile(*pieces):
    found = Profile()
    for piece in pieces:
        found.add(cells(pa.array(piece)))
    return found


def test_profiles_add_up():
    x = np.random.default_rng(0).normal(5, 3, 1000)
    found = profile(x[:10], x[10:700], x[700:])
    assert (found.mean, found.scale) == pytest.approx((x.mean(), x.std()))
    assert found.numbers
    assert not found.categories


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (["a", "b"] * 100, True),
        ([True, False] * 100, True),
        ([0, 1, 2, 3] * 50, True),
        ([0, 1, 2, 3] * 5, False),
        (list(range(11)) * 100, False),
        ([0.5, 1.5] * 100, False),
        (["1"] * 50 + ["2"] * 48 + ["x"] * 2, False),
        (["1"] * 50 + ["2"] * 40 + ["x"] * 10, True),
    ],
)
def test_categories(values, categories):
    assert profile(values).categories is categories


@pytest.mark.parametrize(
    ("values", "name", "why"),
    [
        ([None] * 20, "a", "empty"),
        ([3] * 20, "a", "one value only"),
        (["x"] * 20, "a", "one value only"),
        (list(range(5, 25)), "a", "numbers of rows"),
        ([3 * i for i in range(20)], "customer_id", "identifiers: each row has another"),
        ([3 * i for i in range(20)], "age", None),
        ([f"k{i}" for i in range(20)], "a", "identifiers: each row has another"),
        ([f"k{i % 15}" for i in range(20)], "a", "texts: too many differ to be categories"),
        ([f"k{i % 1500}" for i in range(9000)], "a", "texts: too many differ to be categories"),
        ([f"k{i % 5}" for i in range(20)], "a", None),
    ],
)
def test_columns_that_say_nothing(values, name, why):
    assert profile(values[:7], values[7:]).useless(name) == why
