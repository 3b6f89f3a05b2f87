"""What the papers say of single methods of distillation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ipse import models
from ipse.data import Samples, form, open_data
from ipse.errors import UserError
from ipse.methods.distill.dcs import DCS, reweighted
from ipse.methods.distill.dhkd import DHKD, conflict
from ipse.methods.distill.kd import KD
from ipse.methods.distill.nkd import NKD, USKD
from ipse.training import Batch, Feed, Taught
from ipse.transforms import viewer

CLASSES = ("china", "flower")


@pytest.fixture(scope="module")
def images(pictures: np.ndarray, labels: np.ndarray) -> Samples:
    return open_data((pictures[:64], labels[:64])).train


def classifier(seed: int = 0, classes: tuple[str, ...] = CLASSES) -> models.Classifier:
    torch.manual_seed(seed)
    return models.Classifier(models.create("small_conv", form.image(3, 16), widths=(8, 16)), classes)


def batch_for(method: Taught, images: Samples, step: int = 0) -> Batch:
    return Feed(images, method.sees, viewer(images.form), 16, 0).batch(step, 10)


def gradient(loss: torch.Tensor, parameters: Iterator[torch.nn.Parameter]) -> list[torch.Tensor | None]:
    return list(torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True))


class TestNKD:
    def test_a_sure_teacher_without_the_others_counts_the_labels_twice(self, images: Samples) -> None:
        class Sure(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return 1e4 * F.one_hot(batch.y, 2).float()

        method = NKD(classifier(), Sure(), gamma=0.0)
        batch = batch_for(method, images)
        step = method.loss(batch)
        torch.testing.assert_close(step.loss, 2 * F.cross_entropy(step.logits, batch.y))

    def test_a_part_of_the_labels_is_enough(self, images: Samples) -> None:
        few = images.relabelled(np.where(np.arange(64) < 8, images.y, -1))
        batch = batch_for(NKD(classifier(), models.Frozen(classifier(1))), few)
        assert (batch.index < 8).all()


class TestUSKD:
    def method(self, images: Samples, **settings: float) -> USKD:
        method = USKD(classifier(classes=("a", "b", "c", "d")), **settings)
        method.prepare(images)
        return method

    def test_without_its_terms_it_is_cross_entropy(self, images: Samples) -> None:
        method = self.method(images, alpha=0.0, beta=0.0, mu=0.0)
        batch = batch_for(method, images)
        step = method.loss(batch)
        torch.testing.assert_close(step.loss, F.cross_entropy(step.logits, batch.y))

    def test_the_weak_head_learns_smoothed_labels_alone_and_reaches_the_middle(self, images: Samples) -> None:
        method = self.method(images)
        batch = batch_for(method, images)
        method.eval()
        found = gradient(method.loss(batch).loss, method.weak.parameters())
        method.encoder(batch.views[0].x)
        guess = method.weak(method.middle.features(16))
        expected = gradient(0.005 * F.cross_entropy(guess, batch.y, label_smoothing=0.1), method.weak.parameters())
        for one, two in zip(found, expected, strict=True):
            torch.testing.assert_close(one, two)

    def test_one_class_is_refused(self, images: Samples) -> None:
        with pytest.raises(UserError, match="label another class too"):
            USKD(classifier(classes=("a",))).prepare(images)


class TestDHKD:
    def method(self, **settings: float) -> DHKD:
        return DHKD(classifier(), models.Frozen(classifier(1)), **settings)

    def test_each_head_hears_of_one_loss_alone(self, images: Samples) -> None:
        method = self.method(align=False)
        terms = method.loss(batch_for(method, images)).terms
        assert gradient(terms["task"], method.auxiliary.parameters()) == [None, None]
        assert gradient(terms["distillation"], method.model.head.parameters()) == [None, None]
        assert all(g is not None for g in gradient(terms["distillation"], method.encoder.parameters()))

    @pytest.mark.parametrize("align", [False, True])
    def test_without_distillation_it_is_plain_training(self, images: Samples, align: bool) -> None:
        method = self.method(alpha=0.0, align=align)
        batch = batch_for(method, images)
        step = method.loss(batch)
        torch.testing.assert_close(step.loss, F.cross_entropy(step.logits, batch.y))
        plain = gradient(F.cross_entropy(step.logits, batch.y), method.model.parameters())
        for one, two in zip(gradient(step.loss, method.model.parameters()), plain, strict=True):
            torch.testing.assert_close(one, two)
        assert not any(g.any() for g in gradient(step.loss, method.auxiliary.parameters()))

    def test_the_alignment_is_the_projection_of_the_gradients(self, images: Samples) -> None:
        """Written out: g2 <- g2 - <g2, g1> / |g1|^2 g1 where they point against each other, over all parameters."""
        conflicts = 0
        for step in range(6):
            aligned, plain = self.method(), self.method(align=False)
            for m in (aligned, plain):
                with torch.no_grad():  # a student that likes the wrong class, and a teacher that does too
                    m.auxiliary[0].load_state_dict(m.model.head.state_dict())
            batch = batch_for(plain, images, step)
            batch = replace(batch, y=plain.teacher(batch.views[0].x).argmin(1))
            terms, parameters = plain.loss(batch).terms, list(plain.parameters())

            def flat(found: list[torch.Tensor | None], parameters: list[torch.nn.Parameter] = parameters) -> torch.Tensor:
                both = zip(found, parameters, strict=True)
                return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in both])

            g1, g2 = (flat(gradient(terms[name], iter(parameters))) for name in ("task", "distillation"))
            conflicts += bool(g1 @ g2 < 0)
            projected = g2 - min(0, g2 @ g1) / (g1 @ g1) * g1
            assert projected @ g1 >= -1e-4
            step_aligned = aligned.loss(batch)
            torch.testing.assert_close(
                flat(gradient(step_aligned.loss, aligned.parameters())), g1 + projected, rtol=1e-3, atol=1e-5
            )
            torch.testing.assert_close(step_aligned.loss, terms["task"] + terms["distillation"])
        assert conflicts

    def test_gradients_that_agree_stay_as_they_are(self) -> None:
        p = torch.tensor([1.0, 2.0], requires_grad=True)
        assert conflict(p.sum(), p[0], [p]).item() == 0
        assert conflict(p.sum(), p.new_tensor(1.0), [p]).item() == 0

    def test_the_hidden_layer_of_the_second_head(self, images: Samples) -> None:
        method = self.method(hidden=20)
        assert [type(part).__name__ for part in method.auxiliary] == ["Linear", "Dropout", "BatchNorm", "ReLU", "Linear"]
        assert method.loss(batch_for(method, images)).loss.isfinite()


class TestDCS:
    def method(self, images: Samples, **settings: float) -> DCS:
        method = DCS(classifier(), models.Frozen(classifier(1)), **settings)
        method.prepare(images)
        return method

    def test_1_equal_weights_are_plain_distillation(self, images: Samples) -> None:
        method = self.method(images, imitation=0.9, temperature=4.0)
        kd = KD(classifier(), models.Frozen(classifier(1)), weight=0.9, temperature=4.0)
        batch = batch_for(method, images)
        torch.testing.assert_close(method.loss(batch).loss, kd.loss(batch).loss)

    def test_1_nothing_changes_where_student_and_teacher_agree(self, images: Samples) -> None:
        method = self.method(images)
        method.teacher = models.Frozen(method.model)
        method.model.requires_grad_(True)
        before = method.weights.clone()
        method.before_round(1, Feed(images, method.sees, viewer(images.form), 16, 0))
        assert torch.equal(method.weights, before)
        assert torch.equal(reweighted(before, torch.zeros(64, dtype=torch.bool), 2), before)

    def test_2_weights_add_up_to_one_and_grow_until_they_are_capped(self) -> None:
        weights, often = torch.full((10,), 0.1), []
        discordant = torch.arange(10) < 2
        for round in range(8):
            weights = reweighted(weights, discordant if round % 2 == 0 else discordant & (torch.arange(10) < 1), 5, 0.3, cap=20)
            assert weights.sum().item() == pytest.approx(1, rel=1e-5)
            assert (weights > 0).all()
            assert weights.max() / weights.min() <= 20.001
            often.append((weights[0] / weights[-1]).item())
        assert all(later > before or later == pytest.approx(20, rel=1e-4) for before, later in pairwise(often))

    def test_3_two_classes_end_with_half_of_the_weight_discordant(self) -> None:
        weights = torch.rand(20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        weights = weights / weights.sum()
        discordant = torch.arange(20) % 5 == 0
        after = reweighted(weights, discordant, classes=2)
        assert after[discordant].sum().item() == pytest.approx(0.5)

    def test_4_without_imitation_and_growth_it_is_fine_tuning(self, images: Samples) -> None:
        method = self.method(images, imitation=0.0, shrinkage=0.0)
        method.before_round(1, Feed(images, method.sees, viewer(images.form), 16, 0))
        batch = batch_for(method, images)
        step = method.loss(batch)
        torch.testing.assert_close(step.loss, F.cross_entropy(step.logits, batch.y))

    def test_as_many_discordant_as_by_chance_change_nothing(self) -> None:
        weights = torch.full((4,), 0.25)
        assert torch.equal(reweighted(weights, torch.tensor([True, True, True, False]), classes=4), weights)

    def test_a_round_raises_the_samples_on_which_the_two_disagree(self, images: Samples) -> None:
        method = self.method(images)
        method.before_round(0, Feed(images, method.sees, viewer(images.form), 16, 0))
        assert (method.weights == 1 / 64).all()
        method.before_round(1, Feed(images, method.sees, viewer(images.form), 16, 0))
        x = viewer(images.form).original(images.read(np.arange(64))).x
        with torch.no_grad():
            apart = method.model.eval()(x).argmax(1) != method.teacher(x).argmax(1)
        if 0 < apart.float().mean() < 0.5:
            assert method.weights[apart].min() > method.weights[~apart].max()
        batch = batch_for(method, images)
        heavy = replace(batch, index=torch.full_like(batch.index, int(method.weights.argmax())))
        light = replace(batch, index=torch.full_like(batch.index, int(method.weights.argmin())))
        ratio = (method.weights.max() / method.weights.min()).item()
        method.eval()
        assert method.loss(heavy).loss.item() == pytest.approx(ratio * method.loss(light).loss.item(), rel=1e-4)

    def test_settings_that_mean_nothing_are_refused(self, images: Samples) -> None:
        with pytest.raises(UserError, match="rounds and cap of at least 1 and shrinkage from 0 to 1"):
            self.method(images, shrinkage=1.5)
