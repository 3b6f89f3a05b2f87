"""Stages of self-training: what was stable first, then all."""

from __future__ import annotations

import torch
from tests.methods.selftrain.small import K, N, built, feed_for, learned, rows
from torch.nn import functional as F

from ipse.methods.selftrain.wbc import SelfTrainingFixMatch, stability


def test_masks_that_never_change_are_the_most_stable() -> None:
    masks = torch.randint(0, 3, (4, 6, 6), generator=torch.Generator().manual_seed(0))
    scores = 9.0 * F.one_hot(masks, 3).movedim(-1, 1).float()
    changed = scores.clone()
    changed[1, :, :3] = changed[1, :, :3].roll(1, 0)
    stable = stability(scores, [changed, scores])
    assert stable[[0, 2, 3]].tolist() == [2.0, 2.0, 2.0]
    assert 1 < stable[1] < 2


def test_of_one_place_labels_count_first_and_then_how_little_probabilities_moved() -> None:
    last = torch.tensor([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    earlier = torch.tensor([[4.0, 0.0], [1.0, 0.0], [-0.1, 0.0]])
    stable = stability(last, [earlier, last])
    assert stable.argsort(descending=True).tolist() == [0, 1, 2]
    assert (stable.floor() == torch.tensor([2.0, 2.0, 1.0])).all()


def test_checkpoints_are_taken_at_each_third_of_the_teachers_round() -> None:
    data = rows()
    method = built(SelfTrainingFixMatch, data)
    feed = feed_for(method, data)
    method.before_round(0, feed)
    marks = []
    for step in range(30):
        with torch.no_grad():
            method.model.head.bias.fill_(step)
        method.after_step(feed.batch(step, 90))
        marks.append([float(copy.head.bias[0].detach()) for copy in method.kept])
    assert marks[8][0] != 9
    assert marks[9][0] == 9
    assert marks[-1] == [9, 19]


def test_the_first_student_learns_from_the_stable_half_and_the_second_from_all() -> None:
    data = rows()
    method = built(SelfTrainingFixMatch, data)
    start = {name: x.clone() for name, x in method.model.state_dict().items()}
    feed = feed_for(method, data)
    for round, left_out in ((0, 0), (1, 24), (2, 0)):
        with torch.no_grad():
            method.model.head.weight.add_(0.5)
        method.before_round(round, feed)
        feed.follow(method)
        assert int((method.labels == -2).sum()) == left_out
        assert torch.equal(method.labels[:12], torch.from_numpy(data.y[:12]))
        seen = {i for step in range(20) for i in feed.batch(step).index.tolist()}
        assert seen == set((method.labels > -2).nonzero()[:, 0].tolist()) if round else seen == set(range(12))
        if round:
            assert all(torch.equal(x, start[name]) for name, x in method.model.state_dict().items())
            assert (method.pseudo >= 0).all()


def test_plain_stages() -> None:
    method = built(SelfTrainingFixMatch, rows(), reliable=1.0)
    assert method.rounds == 2
    assert len(method.kept) == 0
    assert len([name for name in method.state_dict() if name.startswith("kept")]) == 0


def test_the_students_loss_by_hand() -> None:
    data = rows()
    method = built(SelfTrainingFixMatch, data, threshold=0.4, consistency=2.0)
    feed = feed_for(method, data)
    method.before_round(0, feed)
    method.before_round(1, feed)
    method.before_round(2, feed)
    feed.follow(method)
    method.eval()  # so that samples do not meet in batch normalisation
    batch = feed.batch(0, 30)
    weak, strong = (method.model(x) for x in batch)
    has = batch.y >= 0
    q, guess = weak[~has].softmax(1).max(1)
    fixmatch = (F.cross_entropy(strong[~has], guess, reduction="none") * (q >= 0.4)).mean()
    expected = (
        F.cross_entropy(weak[has], batch.y[has])
        + F.cross_entropy(strong[~has], method.pseudo[batch.index][~has])
        + 2 * fixmatch
    )
    torch.testing.assert_close(method.loss(batch).loss, expected)


def test_fixmatch_is_out_of_the_teachers_stage_unless_asked_for() -> None:
    for early in (False, True):
        data = rows()
        method = built(SelfTrainingFixMatch, data, early=early, threshold=0.0)
        feed = feed_for(method, data)
        method.before_round(0, feed)
        feed.follow(method)
        assert (float(method.loss(feed.batch(0, 9)).terms["consistency"]) > 0) == early


def test_it_learns() -> None:
    data = rows()
    method = learned(built(SelfTrainingFixMatch, data), data, 90)
    x = torch.cat([x for _, x in feed_for(method, data).everything()])
    assert (method.learned.eval()(x).argmax(1) == torch.arange(N) % K).float().mean() > 0.9
