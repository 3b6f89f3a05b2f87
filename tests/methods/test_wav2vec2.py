"""wav2vec 2.0: its parts, and its loss against a plain reading of the paper."""

from __future__ import annotations

import math

import pytest
import torch
from tests.methods.speech import batch_for, small

from ipse.methods.pretrain.wav2vec2 import Wav2Vec2


def plain_loss(c: torch.Tensor, q: torch.Tensor, others: torch.Tensor, there: torch.Tensor) -> float:
    """InfoNCE frame by frame."""
    total, count = 0.0, 0
    for b in range(len(c)):
        for t in range(int(there[b].sum())):
            cosine = [float(torch.cosine_similarity(c[b, t], q[b, n], dim=0)) for n in [t, *others[b, t].tolist()]]
            equal = [bool((q[b, n] == q[b, t]).all()) for n in others[b, t].tolist()]
            kept = [cosine[0], *(s for s, e in zip(cosine[1:], equal, strict=True) if not e)]
            total += math.log(sum(math.exp(s / 0.1) for s in kept)) - cosine[0] / 0.1
            count += 1
    return total / count


def test_the_loss_is_that_of_the_paper() -> None:
    method = small(Wav2Vec2, negatives=5)
    batch = batch_for(method)
    terms = method.loss(batch).terms
    local = method.local(batch.views[0].x)
    hidden = method.hide(batch, local.valid)
    _, q = method.quantise(batch, local, hidden)
    c = method.predictor(hidden.of(method.context(local, hidden)))
    assert float(terms["contrast"]) == pytest.approx(plain_loss(c, q, method.others(batch, hidden), hidden.there), rel=1e-4)
    features, valid = method.encoder.features(batch.views[0].x)
    assert float(terms["penalty"]) == pytest.approx(10 * float(features[valid].square().mean()), rel=1e-4)


def test_hidden_frames_do_not_reach_the_context() -> None:
    method = small(Wav2Vec2)
    batch = batch_for(method)
    local = method.local(batch.views[0].x)
    hidden = method.hide(batch, local.valid)
    other = local._replace(frames=torch.where(hidden.mask[..., None], torch.randn_like(local.frames), local.frames))
    assert torch.equal(method.context(local, hidden), method.context(other, hidden))
    assert hidden.mask.any(dim=1).all()
    assert not (hidden.mask & ~local.valid).any()


def test_the_gradient_of_the_convolutions_is_a_tenth() -> None:
    norms = []
    for factor in (1.0, 0.1):
        method = small(Wav2Vec2, feature_gradient=factor)
        method.loss(batch_for(method)).loss.backward()
        norms.append(method.encoder.convolutions[0].weight.grad.norm())
    torch.testing.assert_close(norms[1], 0.1 * norms[0])


def test_the_quantiser_cools_in_the_first_part_of_the_run() -> None:
    method = small(Wav2Vec2)
    taken: list[float] = []
    method.quantiser.register_forward_pre_hook(lambda module, args: taken.append(args[2]))
    for step in (0, 35, 70, 99):
        method.loss(batch_for(method, step, 100))
    assert taken == pytest.approx([2.0, 1.0, 0.5, 0.5])


def test_any_encoder_by_frames_will_do() -> None:
    method = small(Wav2Vec2, "mel_transformer")
    assert method.loss(batch_for(method)).loss.isfinite()
