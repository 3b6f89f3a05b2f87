"""Heads that disagree, and rounds that label what they agree on."""

from __future__ import annotations

import pytest
import torch
from tests.methods.selftrain.small import K, N, built, feed_for, learned, rows
from torch.nn import functional as F

from ipse.losses import t_similarity
from ipse.methods.selftrain.policies import above, least_error, surest
from ipse.methods.selftrain.t_similarity import TSimilarity


def test_without_gamma_heads_are_logistic_regressions_of_features_that_they_do_not_move() -> None:
    data = rows()
    method = built(TSimilarity, data, gamma=0.0)
    batch = feed_for(method, data).batch(0)
    step = method.loss(batch)
    has = batch.y >= 0
    f = method.model.features(batch.views[0].x)
    alone = [F.cross_entropy(head(f[has].detach()), batch.y[has]) for head in method.heads]
    torch.testing.assert_close(step.terms["heads"], torch.stack(alone).mean())
    for name, x in (("heads", step.terms["heads"]), ("agreement", step.terms["agreement"])):
        reached = torch.autograd.grad(x, list(method.model.parameters()), retain_graph=True, allow_unused=True)
        assert all(g is None for g in reached), name
    gradient = torch.autograd.grad(step.loss, list(method.heads.parameters()))
    expected = torch.autograd.grad(torch.stack(alone).mean(), list(method.heads.parameters()))
    torch.testing.assert_close(gradient, expected)


def test_the_heads_are_paid_for_disagreeing_where_there_are_no_labels() -> None:
    data = rows()
    method = built(TSimilarity, data)
    batch = feed_for(method, data).batch(0)
    bare = batch.y < 0
    optimizer = torch.optim.SGD(method.heads.parameters(), lr=0.5)
    before = method.confidence(batch.views[0].x)[1][bare].mean()
    agreement = method.loss(batch).terms["agreement"]
    torch.testing.assert_close(agreement, t_similarity(method.votes(method.model.features(batch.views[0].x))[:, bare]).mean())
    agreement.backward()
    optimizer.step()
    assert method.confidence(batch.views[0].x)[1][bare].mean() < before


def test_rounds_label_more_and_more_and_begin_anew() -> None:
    data = rows()
    method = built(TSimilarity, data)
    assert method.rounds == 6
    start = method.heads[0].weight.detach().clone()
    feed = feed_for(method, data)
    counts = []
    for round in range(method.rounds):
        with torch.no_grad():
            method.heads[0].weight.add_(1.0)
        method.before_round(round, feed)
        if round:
            assert torch.equal(method.heads[0].weight, start)
        counts.append(int((method.labels >= 0).sum()))
    left = N - 12
    expected = [12]
    for share in (0.2, 0.4, 0.6, 0.8, 1.0):
        taken = -(-left * share // 1)
        left -= int(taken)
        expected.append(N - left)
    assert counts == expected
    assert torch.equal(method.labels[:12], torch.from_numpy(data.y[:12]))


def test_what_was_labelled_is_drawn_as_labelled_from_then_on() -> None:
    data = rows()
    method = built(TSimilarity, data, relabellings=1, growth=0.5)
    feed = feed_for(method, data)
    method.before_round(0, feed)
    method.before_round(1, feed)
    feed.follow(method)
    seen = {i for step in range(12) for i in feed.batch(step).index[feed.batch(step).y >= 0].tolist()}
    assert seen == set((method.labels >= 0).nonzero()[:, 0].tolist())
    assert len(seen) == 12 + 24


@pytest.mark.parametrize("policy", ["threshold", "curriculum", "bound"])
@pytest.mark.parametrize("confidence", ["t-similarity", "softmax"])
def test_it_learns_by_every_policy(policy: str, confidence: str) -> None:
    data = rows()
    method = learned(built(TSimilarity, data, policy=policy, confidence=confidence, relabellings=2), data, 45)
    x = torch.cat([x for _, x in feed_for(method, data).everything()])
    label, agreement = method.eval().confidence(x)
    assert (label == torch.arange(N) % K).float().mean() > 0.8
    assert ((agreement >= 0) & (agreement <= 1)).all()


def test_policies() -> None:
    confidence = torch.tensor([0.9, 0.8, 0.8, 0.1])
    assert above(confidence, 0.8).tolist() == [True, True, True, False]
    assert surest(confidence, 0.5).tolist() == [True, True, False, False]
    assert surest(confidence, 0.0).tolist() == [False] * 4
    assert surest(confidence, 1.0).all()


def test_the_bound_takes_those_that_are_never_wrong_and_leaves_out_those_that_are_a_toss() -> None:
    votes = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.4], [0.0, 1.0], [0.45, 0.55], [0.0, 1.0]])
    assert least_error(votes, votes.argmax(1)).tolist() == [True, True, False, True, False, True]
    assert least_error(votes[:, [1, 0]], votes[:, [1, 0]].argmax(1)).tolist() == [True, True, False, True, False, True]
