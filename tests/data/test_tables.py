"""Parquet files and `datasets` objects."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
from PIL import Image

from ipse.data import open_data
from ipse.errors import UserError

FEATURES = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["owl", "cat"])})


@pytest.fixture(autouse=True)
def _quiet(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()


@pytest.fixture
def dataset(picture, encoded):
    """Makes a Dataset of 12 x 12 pictures in memory."""

    def make(n=5, broken=()):
        cells = [{"bytes": b"text" if i in broken else encoded(picture(i)), "path": f"{i}.png"} for i in range(n)]
        return datasets.Dataset.from_dict({"image": cells, "label": [i % 2 for i in range(n)]}, features=FEATURES)

    return make


def pixels(picture, *seeds):
    return np.stack([np.asarray(picture(seed)).transpose(2, 0, 1) for seed in seeds])


def test_dataset(dataset, picture):
    data = open_data(dataset())
    assert (data.train.x == pixels(picture, 0, 1, 2, 3, 4)).all()
    assert data.classes == ("owl", "cat")
    assert data.train.y.tolist() == [0, 1, 0, 1, 0]
    assert list(data.train.names) == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert data.name == "dataset"


def test_rows_that_were_chosen(dataset, picture):
    data = open_data(dataset().select([3, 1]).with_format("torch"))
    assert (data.train.x == pixels(picture, 3, 1)).all()
    assert data.train.y.tolist() == [1, 1]


def test_broken_pictures_are_survived(dataset):
    data = open_data(dataset(broken=(1, 4)))
    assert [(s.name, s.reason) for s in data.skipped] == [(f"{i}.png", "not a picture of a known format") for i in (1, 4)]
    assert data.train.y.tolist() == [0, 0, 1]


def test_dataset_dict(dataset):
    data = open_data(datasets.DatasetDict(train=dataset(4), validation=dataset(3), test=dataset(2), extra=dataset(1)))
    assert (len(data.train), len(data.test)) == (4, 2)
    assert data.test.names[0] == "test/0.png"
    assert [s.name for s in data.skipped] == ["validation", "extra"]
    assert open_data(datasets.DatasetDict(all=dataset(4))).test is None


def test_imagefolder(photos):
    root = photos("cat/1.png", "dog/2.png", "dog/3.png")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(root), split="train")
    data = open_data(loaded)
    assert data.classes == ("cat", "dog")
    assert list(data.train.names) == ["cat/1.png", "dog/2.png", "dog/3.png"]
    assert (data.train.x == open_data(root).train.x).all()
    (root / "dog/2.png").unlink()
    assert [(s.name, s.reason) for s in open_data(loaded).skipped] == [("dog/2.png", "no such file or directory")]


def test_iterable_dataset(dataset, picture, cache):
    table = dataset(5, broken=(2,))
    data = open_data(table.to_iterable_dataset())
    assert (data.train.x == pixels(picture, 0, 1, 3, 4)).all()
    assert data.train.y.tolist() == [0, 1, 1, 0]
    assert data.classes == ("owl", "cat")
    assert list(data.train.names) == ["0", "1", "3", "4"]
    assert open_data(table.to_iterable_dataset()).key == data.key
    assert len(list((cache / "stores").iterdir())) == 1


def test_a_generator_that_does_not_say_what_it_yields(picture):
    def rows():
        for i in range(3):
            yield {"img": picture(i), "y": ["b", "a", "b"][i]}

    stream = datasets.IterableDataset.from_generator(rows)
    data = open_data(datasets.IterableDatasetDict(train=stream, test=stream))
    assert (data.train.x == pixels(picture, 0, 1, 2)).all()
    assert (data.test.x == data.train.x).all()
    assert data.classes == ("a", "b")
    assert data.train.y.tolist() == [1, 0, 1]


def test_saved_to_disk(dataset, tmp_path, picture):
    dataset(3).save_to_disk(tmp_path / "one")
    data = open_data(tmp_path / "one")
    assert (data.train.x == pixels(picture, 0, 1, 2)).all()
    assert data.classes == ("owl", "cat")
    assert data.name == "one"
    datasets.DatasetDict(train=dataset(3), test=dataset(2)).save_to_disk(tmp_path / "both")
    assert len(open_data(tmp_path / "both").test) == 2
    (tmp_path / "one" / "state.json").write_text("{")
    with pytest.raises(UserError, match="cannot read the dataset"):
        open_data(tmp_path / "one")


def test_parquet(dataset, tmp_path, picture):
    dataset(5, broken=(0,)).to_parquet(tmp_path / "a.parquet")
    for source in (tmp_path / "a.parquet", tmp_path, [tmp_path / "a.parquet"], str(tmp_path / "*.parquet")):
        data = open_data(source)
        assert (data.train.x == pixels(picture, 1, 2, 3, 4)).all()
        assert data.classes == ("owl", "cat")
        assert [s.name for s in data.skipped] == ["0.png"]


def test_parquet_shards_and_splits(dataset, tmp_path):
    (tmp_path / "data").mkdir()
    for name, n in (("train-00000-of-00002", 3), ("train-00001-of-00002", 2), ("test-00000-of-00001", 1), ("validation-0", 1)):
        dataset(n).to_parquet(tmp_path / "data" / f"{name}.parquet")
    data = open_data(tmp_path)
    assert (len(data.train), len(data.test)) == (5, 1)
    assert [s.name for s in data.skipped] == ["validation"]


def test_broken_shards(dataset, tmp_path):
    for name in ("a", "b", "c"):
        dataset(40).to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "a.parquet").write_text("text")
    content = bytearray((tmp_path / "b.parquet").read_bytes())
    content[20:3000] = bytes(2980)
    (tmp_path / "b.parquet").write_bytes(content)
    data = open_data(tmp_path)
    assert 40 <= len(data.train) < 80
    assert {"a.parquet", "b.parquet"} >= {s.name for s in data.skipped if "parquet" in s.name} >= {"a.parquet"}
    with pytest.raises(UserError, match=r"cannot read a: .*Parquet"):
        open_data(tmp_path / "a.parquet")


def test_plain_parquet(tmp_path, picture, encoded):
    import pyarrow as pa
    from pyarrow import parquet

    cells = [encoded(picture(0)), encoded(picture(1)), None]
    parquet.write_table(pa.table({"id": [1, 2, 3], "jpg": cells, "Label": [3.0, None, 7.0]}), tmp_path / "a.parquet")
    data = open_data(tmp_path / "a.parquet")
    assert (data.train.x == pixels(picture, 0, 1)).all()
    assert data.classes == ("3",)
    assert data.train.y.tolist() == [0, -1]
    assert [(s.name, s.reason) for s in data.skipped] == [("2", "no picture in this row")]
    parquet.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="no column of pictures in a: expected an Image or bytes column, got id"):
        open_data(tmp_path / "a.parquet", modality="image")


def test_the_content_is_the_key(dataset, tmp_path):
    first = open_data(dataset()).key
    assert open_data(dataset()).key == first != open_data(dataset(4)).key


def test_an_empty_dataset(dataset):
    with pytest.raises(UserError, match="no pictures in dataset"):
        open_data(dataset(0))


def test_grey_after_the_first_look(picture, encoded):
    cells = [{"bytes": encoded(picture(i, mode="L" if i < 3 else "RGB")), "path": None} for i in range(4)]
    features = datasets.Features({"image": datasets.Image()})
    assert open_data(datasets.Dataset.from_dict({"image": cells[:3]}, features=features)).train.channels == 1
    data = open_data(datasets.Dataset.from_dict({"image": cells}, features=features))
    assert data.train.channels == 3
    assert list(data.train.names) == ["0", "1", "2", "3"]
    assert Image.MAX_IMAGE_PIXELS
