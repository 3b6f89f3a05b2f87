"""Batches out of a store."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from ipse.data import Images, open_data
from ipse.data.strings import Strings


@pytest.fixture
def x():
    return np.random.default_rng(0).integers(0, 256, (50, 3, 5, 4), dtype=np.uint8)


def test_gather_is_fancy_indexing(x):
    images = Images(x, np.arange(50))
    index = np.array([3, 3, 49, 0, -1])
    for kind in (index, torch.from_numpy(index), index.tolist()):
        batch = images.gather(kind)
        assert batch.dtype == torch.uint8
        assert batch.is_contiguous()
        assert (batch.numpy() == x[index]).all()
    assert images.gather([]).shape == (0, 3, 5, 4)
    with pytest.raises(IndexError):
        images.gather([50])


def test_gather_from_channels_last_memory(x):
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    batch = Images(last).gather([7, 1])
    assert batch.is_contiguous()
    assert (batch.numpy() == x[[7, 1]]).all()


def test_defaults(x):
    images = Images(x)
    assert (len(images), images.channels, images.height, images.width) == (50, 3, 5, 4)
    assert images.aspect.tolist() == pytest.approx([4 / 5] * 50)
    assert not images.labelled
    assert images.y.tolist() == [-1] * 50
    assert images.names[0] == "0"
    assert images.names[-1] == "49"
    assert len(images.names) == 50


def test_subset_of_a_subset_shares_the_pictures(x):
    images = Images(x, np.arange(50))
    part = images.subset(np.arange(10, 50)).subset(torch.tensor([5, 0, 39]))
    assert part.y.tolist() == [15, 10, 49]
    assert list(part.names) == ["15", "10", "49"]
    assert (part.gather([2, 0]).numpy() == x[[49, 15]]).all()
    assert (part.x == x[[15, 10, 49]]).all()
    assert len(part) == 3
    assert np.shares_memory(part._all.array, x)
    assert images.subset(np.arange(50) == 3).y.tolist() == [3]


def test_relabelled_leaves_the_original_alone(x):
    images = Images(x)
    assert images.relabelled(np.arange(50)).labelled
    assert not images.labelled


def test_a_store_is_mapped_again_after_pickling(photos):
    images = open_data(photos("a.png", "b.png", "c.png")).train.subset([2, 0])
    packed = pickle.dumps(images)
    again = pickle.loads(packed)
    assert (again.gather([0, 1]) == images.gather([0, 1])).all()
    assert list(again.names) == ["c.png", "a.png"]
    assert again._all.mapped
    assert len(packed) < 4000


def test_arrays_in_memory_are_pickled(x):
    assert (pickle.loads(pickle.dumps(Images(x))).gather([4]).numpy() == x[[4]]).all()


def test_names_in_any_script():
    names = ["a.jpg", "", "ü/日本.png", "x" * 300]
    strings = Strings.of(names)
    assert list(strings) == names
    assert list(strings[1:3]) == names[1:3]
    assert strings[-1] == names[-1]
    assert "ü/日本.png" in strings
    with pytest.raises(IndexError):
        strings[4]
