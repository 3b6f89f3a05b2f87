"""Self-training where labels are masks: what counts is pixels, wherever a view shows them."""

from __future__ import annotations

from typing import Any

import torch
from tests.methods.kinds import ENCODERS, N, samples
from torch.nn import functional as F

from ipse.data import Samples
from ipse.methods.selftrain.future import FutureSelfTraining
from ipse.methods.selftrain.rounds import looked_at, no_labels, remembered
from ipse.methods.selftrain.wbc import SelfTrainingFixMatch, stability
from ipse.models import Segmenter, create
from ipse.training import Feed
from ipse.transforms import viewer

CLASSES = ("dark", "grey", "bright")


def made(kind: Any, data: Samples, **settings: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method = kind(Segmenter(create("unet", data.form, **ENCODERS["unet"]), CLASSES), **settings)
    method.prepare(data)
    return method


def feed_of(method: Any, data: Samples) -> Feed:
    return Feed(data, method.sees, viewer(data.form, samples=data), 16, 0)


def test_a_batch_has_the_classes_of_the_pixels_of_its_first_look_and_the_same_part_in_both() -> None:
    data = samples("masks")
    method = made(SelfTrainingFixMatch, data)
    batch = feed_of(method, data).batch(3)
    weak, strong = batch.views
    assert weak.matrix is not None
    assert strong.matrix is not None
    assert torch.equal(weak.matrix, strong.matrix)
    assert not torch.equal(weak.x, strong.x)
    assert batch.y.shape == (16, 16, 16)
    has = torch.from_numpy(data.y)[batch.index] >= 0
    assert has.float().mean() == 0.5
    assert (batch.y[~has] == -1).all()
    # The class of a pixel goes by how bright it is: the view must agree with it wherever it is not near a border.
    bright = (127.5 * (weak.x[has].mean(1) + 1)) // 86
    known = batch.y[has] >= 0
    assert known.float().mean() > 0.7
    assert (bright[known] == batch.y[has][known]).float().mean() > 0.8


def test_every_picture_is_looked_at_whole() -> None:
    data = samples("masks")
    seen = torch.cat([x for _, x in feed_of(made(SelfTrainingFixMatch, data), data).everything()])
    torch.testing.assert_close(seen, torch.from_numpy(data.x) / 127.5 - 1, atol=1e-5, rtol=0)  # type: ignore[attr-defined]


def test_what_was_remembered_of_pixels_moves_with_the_view() -> None:
    data = samples("masks")
    feed = feed_of(made(SelfTrainingFixMatch, data), data)
    batch = feed.batch(0)
    known = no_labels(data)
    assert known.shape == (N, 16, 16)
    masks = data.read(torch.arange(N))["mask"]
    known.copy_(masks)
    again = remembered(known, batch)
    has = torch.from_numpy(data.y)[batch.index] >= 0
    assert torch.equal(again[has], batch.y[has])


def test_the_stages_go_by_the_overlap_of_masks() -> None:
    data = samples("masks")
    method = made(SelfTrainingFixMatch, data)
    feed = feed_of(method, data)
    method.before_round(0, feed)
    with torch.no_grad():
        for i, copy in enumerate(method.kept):
            copy.head.bias.add_(torch.tensor([0.05 * i, 0.0, 0.1]))
    now = looked_at(feed, method.model, then=lambda scores: scores.argmax(1))
    stable = looked_at(feed, method.model, *method.kept, then=lambda last, *earlier: stability(last, earlier))
    method.before_round(1, feed)
    feed.follow(method)
    assert torch.equal(method.pseudo.long(), now)
    bare = torch.from_numpy(data.y) < 0
    assert int((method.labels == -2).sum()) == int(bare.sum()) // 2
    assert stable[method.labels == -2].max() <= stable[bare & (method.labels == -1)].min()
    batch = feed.batch(0, 30)
    method.eval()
    method.consistency = 0.0
    weak, strong = (method.model(x) for x in batch)
    known = batch.y >= 0
    expected = F.cross_entropy(weak.movedim(1, -1)[known], batch.y[known])
    pseudo = remembered(method.pseudo, batch)
    expected = expected + F.cross_entropy(strong.movedim(1, -1)[~known], pseudo[~known])
    torch.testing.assert_close(method.loss(batch).loss, expected)


def test_no_pixel_is_sure_above_one_and_each_is_above_nothing() -> None:
    data = samples("masks")
    for threshold, counts in ((1.01, False), (0.0, True)):
        method = made(SelfTrainingFixMatch, data, threshold=threshold, early=True)
        assert (float(method.loss(feed_of(method, data).batch(0)).terms["consistency"]) > 0) == counts


def test_a_picture_counts_by_the_share_of_its_pixels_that_are_sure() -> None:
    data = samples("masks")
    method = made(FutureSelfTraining, data, threshold=0.34, ahead=0)
    method.eval()
    batch = feed_of(method, data).batch(0)
    weak, strong = batch.views
    known = batch.y >= 0
    with torch.no_grad():
        p, guess = method.teacher(weak.x).softmax(1).max(1)
        share = (p >= 0.34).float().mean((1, 2))
        given = known.flatten(1).any(1)
        scores = method.model(torch.where(given.view(-1, 1, 1, 1), weak.x, strong.x))
        each = F.cross_entropy(scores, torch.where(known, batch.y, guess), reduction="none")
        each = each * torch.where(known, torch.ones_like(each), share[:, None, None])
        step = method.loss(batch)
    torch.testing.assert_close(step.loss, each[known].mean() + each[~known].mean())


def test_pasted_pixels_bring_their_own_label() -> None:
    data = samples("masks")
    method = made(FutureSelfTraining, data, threshold=0.0, ahead=0, cutmix=1.0)
    batch = feed_of(method, data).batch(0)
    plain = made(FutureSelfTraining, data, threshold=0.0, ahead=0)
    mixed, alone = (float(one.loss(batch).terms["consistency"]) for one in (method, plain))
    assert mixed != alone
