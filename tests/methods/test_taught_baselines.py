"""FixMatch, distillation and plain supervision against their formulas."""

from __future__ import annotations

import pytest
import torch
from tests.methods.test_every_taught import BATCH, CLASSES, classifier, half_labelled
from torch.nn import functional as F

from ipse.methods.distill.kd import KD
from ipse.methods.selftrain.fixmatch import FixMatch
from ipse.methods.selftrain.supervised import Supervised
from ipse.models import Frozen
from ipse.training import Batch, Feed
from ipse.transforms import viewer


def batch_for(method, y: list[int] | None = None) -> Batch:  # type: ignore[no-untyped-def]
    data = half_labelled("image")
    batch = Feed(data, method.sees, viewer(data.form), BATCH, 0).batch(0)
    return batch if y is None else Batch(batch.views, batch.index, batch.position, y=torch.tensor(y))


def test_distillation_is_its_formula() -> None:
    model, teacher = classifier("image"), Frozen(classifier("image", seed=1))
    method = KD(model, teacher, temperature=3.0, weight=0.8)
    batch = batch_for(method, [0, 1, 2, -1] * 4)
    step, x = method.loss(batch), batch.views[0].x
    s, t = model(x), teacher(x)
    p, q = (t / 3).softmax(-1), (s / 3).softmax(-1)
    distance = (p * (p / q).log()).sum(-1).mean()
    known = batch.y >= 0
    expected = 0.2 * F.cross_entropy(s[known], batch.y[known]) + 0.8 * 9 * distance
    torch.testing.assert_close(step.loss, expected, rtol=1e-4, atol=1e-6)


def test_a_student_like_its_teacher_has_nothing_to_learn() -> None:
    model = classifier("image").eval()
    teacher = classifier("image")
    teacher.load_state_dict(model.state_dict())
    step = KD(model, Frozen(teacher)).loss(batch_for(KD(model, teacher), [-1] * BATCH))
    assert float(step.loss) == pytest.approx(0, abs=1e-5)


def test_at_a_high_temperature_it_compares_scores() -> None:
    """T^2 KL goes to the squared distance of the centred scores over 2 K."""
    model, teacher = classifier("image"), Frozen(classifier("image", seed=1))
    batch = batch_for(KD(model, teacher))
    step, x = KD(model, teacher, temperature=40.0, weight=1.0).loss(batch), batch.views[0].x
    gap = (teacher(x) - model(x)).double()
    gap = gap - gap.mean(-1, keepdim=True)
    assert float(step.loss) == pytest.approx(float((gap**2).sum(-1).mean() / (2 * len(CLASSES))), rel=0.05)


def test_fixmatch_is_its_formula() -> None:
    model = classifier("image").eval()
    method = FixMatch(model, threshold=0.34, weight=2.0).eval()
    batch = batch_for(method)
    assert int((batch.y >= 0).sum()) == BATCH // 8
    weak, strong = (model(x).detach() for x in batch)
    confidence, guess = weak.softmax(-1).max(-1)
    known = batch.y >= 0
    sure = confidence >= 0.34
    assert sure.any()
    each = F.cross_entropy(strong, guess, reduction="none")
    expected = F.cross_entropy(weak[known], batch.y[known]) + 2 * (each * sure)[~known].mean()
    torch.testing.assert_close(method.loss(batch).loss.detach(), expected, rtol=1e-4, atol=1e-6)


def test_fixmatch_leaves_alone_what_it_is_not_sure_of() -> None:
    method = FixMatch(classifier("image"), threshold=1.1)
    assert float(method.loss(batch_for(method)).terms["consistency"]) == 0


def test_what_fixmatch_keeps_is_the_average() -> None:
    model = classifier("image")
    method = FixMatch(model, decay=0.999)
    before = model.head.weight.detach().clone()
    with torch.no_grad():
        model.head.weight += 1
    method.after_step(Batch([], torch.zeros(0), torch.zeros(0), step=0))
    torch.testing.assert_close(method.learned.head.weight.detach(), before + 0.9)  # the first decay is 1 / 10
    assert method.learned is not method.model


def test_supervision_takes_labelled_samples_alone() -> None:
    method = Supervised(classifier("image"))
    batch = batch_for(method)
    assert (batch.y >= 0).all()
    expected = F.cross_entropy(method.model(batch.views[0].x), batch.y)
    torch.testing.assert_close(method.loss(batch).loss, expected, rtol=1e-4, atol=1e-6)
