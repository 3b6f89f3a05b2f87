"""Batches are a function of the step: each sample once per epoch, in an order and with views that only the seed decides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ipse.data import Images
from ipse.training import Feed
from ipse.training import feed as module
from ipse.transforms import TwoViews
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
