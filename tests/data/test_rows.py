"""Tables: one sample a row."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from ipse.data import frame_files
from ipse.data.tabular import Frame, FrameFiles
from ipse.data.wanted import Files, NothingLeftError, Wanted
from ipse.errors import UserError

N = 200
RNG = np.random.default_rng(0)


@pytest.fixture
def wanted(tmp_path):
    return Wanted(None, tmp_path / "cache", lambda *_: None)


@pytest.fixture
def customers():
    return pd.DataFrame(
        {
            "customer_id": np.arange(N) * 3,
            "age": RNG.integers(18, 80, N),
            "city": RNG.choice(["Rome", "Oslo", "Bonn"], N),
            "income": RNG.normal(3e4, 1e4, N),
            "joined": pd.Series(pd.date_range("2020", periods=N, freq="13h")).sample(frac=1, random_state=0).to_numpy(),
            "comment": [f"comment {i}" for i in range(N)],
            "vip": RNG.random(N) > 0.5,
            "constant": 1,
            "empty": np.nan,
            "label": RNG.choice(["stays", "leaves"], N),
        }
    )


def files(path):
    return FrameFiles(path.name, Files(path.parent, [path.name], "train"))


def why(opened):
    return [(item.name, item.reason) for item in opened.skipped]


def values(opened):
    return opened.samples.read(range(len(opened.samples)))["x"].numpy()


def test_columns_and_what_is_left_out(wanted, customers):
    customers.loc[3, "income"] = np.inf
    customers.loc[4, "city"] = None
    opened = Frame("customers", customers).open(wanted)
    columns = {column["name"]: column for column in opened.samples.form["columns"]}
    assert list(columns) == ["age", "city", "income", "joined", "vip"]
    assert columns["city"]["categories"] == ["Bonn", "Oslo", "Rome"]
    assert columns["vip"]["categories"] == ["False", "True"]
    assert columns["age"] == {
        "name": "age",
        "categories": None,
        "mean": pytest.approx(customers.age.mean()),
        "scale": pytest.approx(customers.age.std(ddof=0)),
    }
    x = values(opened)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[:, 0], (customers.age - customers.age.mean()) / customers.age.std(ddof=0), atol=1e-5)
    assert np.argwhere(np.isnan(x)).tolist() == [[3, 2], [4, 1]]
    assert [["Bonn", "Oslo", "Rome"][int(code)] for code in x[:4, 1]] == customers.city[:4].tolist()
    assert (x[:, 4] == customers.vip).all()
    assert opened.classes == ("leaves", "stays")
    assert [opened.classes[y] for y in opened.samples.y] == customers.label.tolist()
    assert list(opened.samples.names)[:2] == ["0", "1"]
    assert why(opened) == [
        ("columns customer_id, comment", "identifiers: each row has another: left out"),
        ("column constant", "one value only: left out"),
        ("column empty", "empty: left out"),
        ("column income", "1 cell is infinite, taken as missing"),
    ]


def test_every_kind_of_file_says_the_same(wanted, customers, tmp_path):
    customers.to_csv(tmp_path / "c.csv", index=False)
    customers.to_csv(tmp_path / "c.csv.gz", index=False)
    customers.to_csv(tmp_path / "c.tsv", index=False, sep="\t", decimal=",")
    customers.to_parquet(tmp_path / "c.parquet")
    expected = Frame("customers", customers).open(wanted)
    for path in sorted(tmp_path.glob("c.*")):
        opened = files(path).open(wanted)
        np.testing.assert_allclose(values(opened), values(expected), atol=1e-4)
        assert (opened.samples.y == expected.samples.y).all()
        assert why(opened) == why(expected)


def test_a_store_is_used_again_and_mapped(wanted, customers, tmp_path, monkeypatch):
    customers.to_parquet(tmp_path / "c.parquet")
    first = files(tmp_path / "c.parquet").open(wanted)
    monkeypatch.setattr("ipse.data.rows._Table.build", None)
    again = files(tmp_path / "c.parquet").open(wanted)
    assert (again.key, again.classes, why(again)) == (first.key, first.classes, why(first))
    sent = pickle.loads(pickle.dumps(again.samples.subset([5, 2])))
    assert torch.equal(sent.read([1])["x"], first.samples.read([2])["x"])
    assert list(sent.names) == ["5", "2"]


def test_pieces_do_not_show(wanted, customers, tmp_path, monkeypatch):
    customers.to_csv(tmp_path / "c.csv", index=False)
    whole = values(files(tmp_path / "c.csv").open(wanted))
    monkeypatch.setattr(frame_files, "_BLOCK", 3000)
    pieces = files(tmp_path / "c.csv").open(replace(wanted, cache=tmp_path / "other"))
    np.testing.assert_allclose(values(pieces), whole, atol=1e-5)


def test_text_where_numbers_should_be(wanted, tmp_path):
    lines = ["a,b"] + [f"{i * i % 97},{i % 13}" for i in range(100)]
    lines[5], lines[9] = "oops,1", "ah,2"
    (tmp_path / "t.csv").write_text("\n".join(lines))
    opened = files(tmp_path / "t.csv").open(wanted)
    assert np.isnan(values(opened)).nonzero()[0].tolist() == [4, 8]
    assert why(opened) == [("column a", "2 cells are no number, taken as missing")]


def test_ragged_and_empty_rows(wanted, tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2\n,\n3,y\n4,x,9\n")
    opened = files(tmp_path / "t.csv").open(wanted)
    assert values(opened).shape == (2, 2)
    assert list(opened.samples.names) == ["0", "2"]
    assert why(opened) == [
        ("t.csv, row 3", "1 fields, expected 2"),
        ("t.csv, row 6", "3 fields, expected 2"),
        ("1", "a row without any value"),
    ]


@pytest.mark.parametrize(
    ("df", "message"),
    [
        (pd.DataFrame({"a": [1, 1, 1]}), r"no column of df is left \(a: one value only\)"),
        (pd.DataFrame({"a": [None, None], "label": ["x", "y"]}), r"no column of df is left \(a: empty\)"),
        (pd.DataFrame({"a": [[1], [2]]}), r"no column of df is left \(a: neither numbers nor texts\)"),
    ],
)
def test_nothing_is_left(wanted, df, message):
    with pytest.raises(NothingLeftError, match=message):
        Frame("df", df).open(wanted)


def test_a_test_part_is_like_the_training_part(wanted, customers):
    train = Frame("train", customers).open(wanted)
    other = customers[["income", "city", "vip", "label"]].assign(age=[str(i) if i else "x" for i in range(N)], height=1.5)
    other.loc[0, "city"] = "Bern"
    test = Frame("test", other, prefix="test/").open(replace(wanted, like=train))
    assert test.samples.form == train.samples.form
    x, expected = values(test), values(train)
    np.testing.assert_allclose(x[1:, [1, 2, 4]], expected[1:, [1, 2, 4]], atol=1e-6)
    assert np.isnan(x[:, 3]).all()
    assert np.isnan(x[0, :2]).all()
    assert test.samples.names[0] == "test/0"
    assert why(test) == [
        ("column joined", "not in the data: taken as missing"),
        ("column height", "not known to the model: left out"),
        ("column age", "1 cell is unknown, taken as missing"),
        ("column city", "1 cell is unknown, taken as missing"),
    ]
    with pytest.raises(
        UserError, match="other has none of the columns that are needed: expected age, city, income, joined, vip, got p"
    ):
        Frame("other", pd.DataFrame({"p": [1, 2]})).open(replace(wanted, form=train.samples.form))


def test_what_is_left_out_is_said_once(wanted, customers, tmp_path):
    customers.to_csv(tmp_path / "a.csv", index=False)
    for source in (Frame("train", customers), files(tmp_path / "a.csv"), files(tmp_path / "a.csv")):  # the last is in a store
        train = source.open(wanted)
        assert len(why(train)) == 3
        test = Frame("test", customers.assign(height=1.5)).open(replace(wanted, like=train))
        assert why(test) == [("column height", "not known to the model: left out")]


def test_labels_of_their_own(wanted, customers):
    opened = Frame("df", customers, y=["a", "b"] * (N // 2)).open(wanted)
    assert opened.samples.y.tolist() == [0, 1] * (N // 2)
    assert "label" in [column["name"] for column in opened.samples.form["columns"]]


def test_labels_by_the_name_of_their_column(wanted, customers):
    opened = Frame("df", customers).open(replace(wanted, label="City"))
    assert opened.classes == ("Bonn", "Oslo", "Rome")
    assert [column["name"] for column in opened.samples.form["columns"]] == ["age", "income", "joined", "vip", "label"]
    without = Frame("test", customers.drop(columns="city")).open(replace(wanted, label="city", like=opened))
    assert not without.samples.labelled
    with pytest.raises(UserError, match="unknown column of df 'cty': did you mean 'city'"):
        Frame("df", customers).open(replace(wanted, label="cty"))


def test_measures_are_no_classes(wanted):
    df = pd.DataFrame({"a": RNG.normal(size=50), "target": RNG.normal(size=50)})
    opened = Frame("df", df).open(wanted)
    assert opened.classes == ()
    assert not opened.samples.labelled
    assert why(opened) == [("column target", "too many different values to be classes: left out")]


def test_many_columns(wanted, tmp_path):
    x = RNG.normal(size=(10, 10_000)).round(3)
    pd.DataFrame(x, columns=[f"gene {i}" for i in range(10_000)]).to_csv(tmp_path / "wide.csv", index=False)
    opened = files(tmp_path / "wide.csv").open(replace(wanted, modality="table"))
    np.testing.assert_allclose(values(opened), (x - x.mean(0)) / x.std(0), atol=1e-4)


def test_extreme_numbers(wanted):
    df = pd.DataFrame({"a": [1e308, -1e308, 1.0, 2.0], "b": [1e-300, 2e-300, 3e-300, 5e-300], "c": [1.5, 2.5, 3.5, np.inf]})
    x = values(Frame("df", df).open(wanted))
    assert x.shape == (4, 2)  # a cannot be standardised
    assert not np.isinf(x).any()
    assert np.isnan(x[3, 1])


def test_several_files_are_one_table(wanted, tmp_path):
    for name, part in (("a.csv", "u,v\n1,x\n2,y\n"), ("b.csv", "u,v\n5,x\n7,y\n")):
        (tmp_path / name).write_text(part)
    opened = FrameFiles("both", Files(tmp_path, ["a.csv", "b.csv"], "train")).open(wanted)
    assert list(opened.samples.names) == ["a.csv#0", "a.csv#1", "b.csv#0", "b.csv#1"]


@pytest.mark.slow
def test_memory_does_not_grow(wanted, tmp_path, resident, monkeypatch):
    monkeypatch.setattr(frame_files, "_BLOCK", 1 << 20)
    line = ",".join(["3.25"] * 40)
    with open(tmp_path / "big.csv", "w") as file:
        file.write(",".join(f"c{i}x" for i in range(40)) + "\n")
        file.writelines(f"{i}.5,{line[5:]}\n" for i in range(100))
    files(tmp_path / "big.csv").open(wanted)
    before = resident()
    with open(tmp_path / "big.csv", "a") as file:
        file.writelines(f"{i}.5,{line[5:]}\n" for i in range(400_000))
    opened = files(tmp_path / "big.csv").open(wanted)
    assert len(opened.samples) == 400_100
    assert resident() - before < 60e6
