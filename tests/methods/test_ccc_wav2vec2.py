"""CCC-wav2vec 2.0: the checks of its card."""

from __future__ import annotations

import math

import pytest
import torch
from tests.methods.speech import batch_for, small

from ipse.losses.wav2vec import sampled_info_nce
from ipse.methods.pretrain.ccc_wav2vec2 import CCCWav2Vec2, clusters, together
from ipse.methods.pretrain.wav2vec2 import Hidden, Wav2Vec2
from ipse.training import Batch


def test_without_the_noisy_terms_and_the_clusters_it_is_wav2vec2() -> None:
    both, one = small(CCCWav2Vec2, scale=1.0, noisy_targets=0.0, noisy_context=0.0), small(Wav2Vec2)
    batch = batch_for(both)
    single = Batch(batch.views[:1], batch.index, batch.position, batch.seed, batch.step, batch.steps)
    torch.testing.assert_close(both.loss(batch).loss, one.loss(single).loss)


def test_with_equal_copies_and_negatives_all_terms_are_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    method = small(CCCWav2Vec2, noisy_targets=1.0, noisy_context=1.0).eval()  # no noise of the quantiser
    others = Wav2Vec2.others
    monkeypatch.setattr(Wav2Vec2, "others", lambda self, batch, hidden, name="": others(self, batch, hidden))
    batch = batch_for(method)
    batch.views[1] = batch.views[0]
    terms = method.loss(batch).terms
    torch.testing.assert_close(terms["noisy targets"], terms["contrast"])
    torch.testing.assert_close(terms["noisy context"], terms["contrast"])


def test_negatives_scaled_to_nothing_have_logits_of_nothing() -> None:
    c, q = (torch.randn(1, 4, 6, generator=torch.Generator().manual_seed(i)) for i in range(2))
    others = torch.tensor([[[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]])
    loss = sampled_info_nce(c, q, others, 0.1, torch.ones_like(others).bool(), scale=0.0)
    cosines = torch.cosine_similarity(c, q, dim=-1)[0].tolist()
    assert float(loss) == pytest.approx(sum(math.log(1 + 3 * math.exp(-10 * s)) for s in cosines) / 4, rel=1e-4)


def test_a_negative_equal_to_the_positive_has_no_probability() -> None:
    c, q = torch.randn(1, 2, 6), torch.ones(1, 2, 6)
    others = torch.tensor([[[1], [0]]])
    assert sampled_info_nce(c, q, others, 0.1, torch.ones_like(others).bool(), scale=0.3) == 0


def test_clusters_are_by_angle_and_do_not_depend_on_the_order() -> None:
    angle = torch.tensor([[0.0, 0.1, 3.0, 3.1], [0.05, 3.05, 0.02, 9.0]])
    q = torch.stack([angle.cos(), angle.sin()], dim=-1) * torch.rand(2, 4, 1, generator=torch.Generator().manual_seed(0)).add(
        0.5
    )
    mask = torch.tensor([[1, 1, 0, 1, 1], [1, 0, 1, 1, 0]]).bool()
    hidden = Hidden(mask, torch.tensor([[0, 1, 3, 4], [0, 2, 3, 1]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool())
    batch = Batch([], torch.arange(2), torch.arange(2))
    first, second = clusters(batch, (q, -q), hidden, factor=16)
    assert first[0, 0] == first[0, 1] == first[1, 0] == first[1, 2] != first[0, 2]
    assert first[0, 2] == first[0, 3] == first[1, 1]
    assert torch.equal(second[hidden.there], 1 - first[hidden.there])
    flipped = Batch([], torch.arange(2).flip(0), torch.arange(2).flip(0))
    again = clusters(flipped, (q.flip(0), -q.flip(0)), Hidden(*(t.flip(0) for t in hidden)), factor=16)
    assert torch.equal(again[0].flip(0)[hidden.there], first[hidden.there])


def test_together_compares_each_frame_with_its_own_negatives() -> None:
    cluster, others = torch.tensor([[0, 1, 0]]), torch.tensor([[[1, 2], [0, 2], [0, 1]]])
    assert together(cluster, others).tolist() == [[[False, True], [False, False], [True, False]]]


def test_the_copies_keep_their_frames() -> None:
    method = small(CCCWav2Vec2)
    clean, noisy = batch_for(method)
    assert torch.equal(clean.isnan(), noisy.isnan())
    assert not torch.equal(clean.nan_to_num(), noisy.nan_to_num())
    clean, noisy = clean.nan_to_num(), noisy.nan_to_num()
    assert (torch.cosine_similarity(clean, noisy, dim=1) > 0.2).float().mean() > 0.5
