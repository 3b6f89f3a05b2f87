"""Batches are a function of the step: each sample once per epoch, in an order and with views that only the seed decides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ipse.data import Images
from ipse.errors import UserError
from ipse.training import Feed
from ipse.training import feed as module
from ipse.transforms import Look, Sees, TwoViews, Weak
from ipse.transforms.image import ImagePolicy, ImageViewer, original


@pytest.fixture
def images(pictures: np.ndarray) -> Images:
    return Images(pictures[:50])


def feed(images: Images, batch_size: int = 8, seed: int = 0) -> Feed:
    return Feed(images, TwoViews(), ImageViewer(ImagePolicy(), 16), batch_size, seed)


def order(feed: Feed, steps: int) -> list[int]:
    return [i for step in range(steps) for i in feed.batch(step).index.tolist()]


def test_every_epoch_sees_every_sample_once(images: Images) -> None:
    seen = order(feed(images), 25)  # 200 places: four epochs of 50, whose ends are inside of batches
    epochs = [seen[i : i + 50] for i in range(0, 200, 50)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_another_seed_is_another_order_with_other_views(images: Images) -> None:
    assert order(feed(images, seed=1), 3) != order(feed(images), 3)
    a, b = (feed(images, batch_size=50, seed=seed).batch(0) for seed in (0, 1))
    same = a.views[0].matrix[a.index.argsort()] == b.views[0].matrix[b.index.argsort()]
    assert not bool(same.all(dim=2).all(dim=1).any())


def test_the_iterator_gives_what_each_step_gives_by_itself(images: Images) -> None:
    whole = feed(images)
    for step, batch in zip(range(3, 7), whole.batches(3, 7), strict=True):
        alone = feed(images).batch(step, 7)
        assert batch.index.tolist() == alone.index.tolist()
        assert (batch.step, batch.steps) == (alone.step, alone.steps) == (step, 7)
        assert all(torch.equal(a, b) for a, b in zip(batch, alone, strict=True))


def test_the_size_of_the_batch_does_not_change_the_stream(images: Images) -> None:
    small, large = feed(images, 8), feed(images, 16)
    views = [torch.cat([x for step in range(2) for x in [small.batch(step).views[i].x]]) for i in range(2)]
    batch = large.batch(0)
    assert all(torch.equal(a, b) for a, b in zip(views, batch, strict=True))


def test_two_processes_share_what_one_sees(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = feed(images).batch(5)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(module, "world_size", lambda: 2)
        monkeypatch.setattr(module, "rank", lambda rank=rank: rank)
        parts.append(feed(images).batch(5))
    assert torch.equal(torch.cat([p.index for p in parts]), whole.index)
    for i, x in enumerate(whole):
        assert torch.equal(torch.cat([p.views[i].x for p in parts]), x)


def test_views_show_the_samples_they_name(images: Images) -> None:
    still = ImagePolicy(crop=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0, jitter=0.0, grey=0.0, blur=0.0)
    batch = Feed(images, TwoViews(), ImageViewer(still, 16), 8, 0).batch(2)
    expected = original(images.gather(batch.index), torch.ones(8), 16).x
    assert all(float((x - expected).abs().max()) < 1e-5 for x in batch)
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in batch)


def with_labels(images: Images, every: int = 5) -> Feed:
    y = np.where(np.arange(50) % every == 0, np.arange(50) % 3, -1)
    return Feed(images.relabelled(y), Weak(labelled=0.25), ImageViewer(ImagePolicy(), 16), 8, 0)


def test_a_share_of_each_batch_has_labels_and_each_part_runs_in_epochs_of_its_own(images: Images) -> None:
    given = with_labels(images)
    batches = [given.batch(step) for step in range(20)]
    assert [int((b.y >= 0).sum()) for b in batches] == [2] * 20
    index, y = (torch.cat([getattr(b, name) for b in batches]) for name in ("index", "y"))
    assert torch.equal(y, torch.from_numpy(given.samples.y)[index])
    assert index[y >= 0].bincount(minlength=50)[::5].tolist() == [4] * 10  # 40 places, 10 samples
    assert index[y < 0].bincount(minlength=50).tolist() == [0 if i % 5 == 0 else 3 for i in range(50)]  # 120 places, 40 samples


def test_labelled_places_are_shared_by_the_processes(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = with_labels(images).batch(3)
    monkeypatch.setattr(module, "world_size", lambda: 2)
    halves = []
    for rank in (0, 1):
        monkeypatch.setattr(module, "rank", lambda rank=rank: rank)
        halves.append(with_labels(images).batch(3))
    assert torch.equal(torch.cat([half.index for half in halves]), whole.index)
    assert [int((half.y >= 0).sum()) for half in halves] == [1, 1]


def test_where_every_sample_has_a_label_the_rest_of_the_batch_is_of_them_too(images: Images) -> None:
    assert bool((with_labels(images, every=1).batch(0).y >= 0).all())


def test_labels_that_are_wanted_and_missing_are_an_error(images: Images) -> None:
    with pytest.raises(UserError, match="--labels"):
        Feed(images.relabelled(np.full(50, -1)), Weak(labelled=0.25), ImageViewer(ImagePolicy(), 16), 8, 0)


def test_labels_that_a_method_gives_are_drawn_as_such_and_what_it_leaves_out_is_not(pictures: np.ndarray) -> None:
    from types import SimpleNamespace

    data = Images(pictures[:24]).relabelled(np.where(np.arange(24) < 4, 0, -1))
    labels = torch.tensor([0] * 8 + [-2] * 8 + [-1] * 8)
    feed = Feed(data, Weak(labelled=0.5), ImageViewer(ImagePolicy(), 16), 8, 0)
    method: Any = SimpleNamespace(lesson=lambda: (Weak(labelled=0.25), labels))
    feed.follow(method)
    batches = [feed.batch(step) for step in range(16)]
    assert all(int((batch.y >= 0).sum()) == 2 for batch in batches)
    assert {i for batch in batches for i in batch.index[batch.y >= 0].tolist()} == set(range(8))
    assert {i for batch in batches for i in batch.index[batch.y < 0].tolist()} == set(range(16, 24))
    method.lesson = lambda: (Weak(labelled=0.5), None)
    feed.follow(method)
    assert int((feed.batch(0).y >= 0).sum()) == 4


def test_several_batches_for_one_step_are_those_of_the_stream(pictures: np.ndarray) -> None:
    data = Images(pictures[:24])
    several, single = (Feed(data, Sees((Look("weak"),), batches=n), ImageViewer(ImagePolicy(), 16), 8, 0) for n in (3, 1))
    batch = several.batch(2)
    for found, step in zip([batch, *batch.more], (6, 7, 8), strict=True):
        assert torch.equal(found.views[0].x, single.batch(step).views[0].x)
        assert torch.equal(found.index, single.batch(step).index)
