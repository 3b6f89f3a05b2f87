"""What the papers say of single methods."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ipse import models
from ipse.data import form, open_data
from ipse.methods.pretrain.byol import BYOL
from ipse.methods.pretrain.diet import DIET
from ipse.methods.pretrain.mae import MAE
from ipse.methods.pretrain.moco_v3 import MoCoV3
from ipse.methods.pretrain.tribyol import TriBYOL
from ipse.methods.pretrain.w_mse import WMSE
from ipse.training import Batch, Feed, Method
from ipse.transforms import viewer


@pytest.fixture(scope="module")
def images(pictures: np.ndarray):
    return open_data(pictures).train


def vit() -> models.Encoder:
    return models.create("small_vit", form.image(3, 16), width=32, depth=1, heads=2)


def batch_for(method: Method, images, step: int = 0, steps: int = 10) -> Batch:
    return Feed(images, method.sees, viewer(form.image(3, 16)), 16, 0).batch(step, steps)


def test_moco_v3_never_moves_the_patch_projection(images) -> None:
    method = MoCoV3(vit(), widths=(32, 16), predictor=32)
    before = method.encoder.patch_embedding.weight.clone()
    optimizer = torch.optim.AdamW([p for p in method.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    for step in range(3):
        method.loss(batch_for(method, images, step)).loss.backward()
        optimizer.step()
    assert method.encoder.patch_embedding.weight.grad is None
    assert torch.equal(method.encoder.patch_embedding.weight, before)
    assert torch.equal(method.teacher_encoder.teacher.patch_embedding.weight, before)


def test_moco_v3_teacher_moves_before_it_is_asked_by_a_cosine(images) -> None:
    method = MoCoV3(vit(), widths=(32, 16), predictor=32, decay=0.5)
    with torch.no_grad():
        for p in method.projector.parameters():
            p.add_(1.0)
    student, teacher = method.projector[0].weight.clone(), method.teacher_projector.teacher[0].weight.clone()
    method.loss(batch_for(method, images, step=5, steps=10))
    torch.testing.assert_close(method.teacher_projector.teacher[0].weight, torch.lerp(teacher, student, 0.25))


def test_byol_teachers_get_no_gradient_and_follow(images) -> None:
    method = BYOL(models.create("small_conv", form.image(3, 16), widths=(8, 16)), hidden=16, width=8, decay=0.0)
    batch = batch_for(method, images)
    method.loss(batch).loss.backward()
    assert all(p.grad is None for p in method.teachers.parameters())
    with torch.no_grad():
        method.projector[0].weight.add_(1.0)
    method.after_step(batch)
    torch.testing.assert_close(method.teachers[0].teacher[1][0].weight, method.projector[0].weight)


def test_tribyol_with_equal_teachers_and_equal_extra_views_is_byol(images) -> None:
    torch.manual_seed(0)
    three = TriBYOL(models.create("small_conv", form.image(3, 16), widths=(8, 16)), hidden=16, width=8)
    torch.manual_seed(0)
    two = BYOL(models.create("small_conv", form.image(3, 16), widths=(8, 16)), hidden=16, width=8)
    batch = batch_for(two, images)
    pair = two.loss(batch).loss
    batch.views = [batch.views[0], batch.views[1], batch.views[1]]
    torch.testing.assert_close(three.loss(batch).loss, pair, rtol=1e-4, atol=1e-5)


def test_tribyol_teachers_take_turns(images) -> None:
    method = TriBYOL(models.create("small_conv", form.image(3, 16), widths=(8, 16)), hidden=16, width=8, decay=0.5)
    with torch.no_grad():
        method.projector[0].weight.add_(1.0)
    before = [t.teacher[1][0].weight.clone() for t in method.teachers]
    method.after_step(batch_for(method, images, step=0))
    assert not torch.equal(method.teachers[0].teacher[1][0].weight, before[0])
    assert torch.equal(method.teachers[1].teacher[1][0].weight, before[1])
    method.after_step(batch_for(method, images, step=1))
    assert not torch.equal(method.teachers[1].teacher[1][0].weight, before[1])


def test_diet_starts_at_the_entropy_of_the_data(images) -> None:
    method = DIET(models.create("small_conv", form.image(3, 16), widths=(8, 16)))
    method.prepare(images)
    torch.nn.init.zeros_(method.rows.weight)
    assert float(method.loss(batch_for(method, images)).loss) == pytest.approx(np.log(len(images)), rel=1e-5)


def test_w_mse_of_four_views(images) -> None:
    method = WMSE(
        models.create("small_conv", form.image(3, 16), widths=(8, 16)), views=4, size=16, width=4, hidden=16, partitions=2
    )
    step = method.loss(batch_for(method, images))
    assert len(step.z) == 4
    assert 0 < float(step.loss) < 4


def test_mae_encodes_only_what_is_seen(images) -> None:
    method = MAE(vit(), masked=0.75, width=16, depth=1, heads=2)
    seen: list[int] = []
    method.encoder.layers[0].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape[1]))
    method.loss(batch_for(method, images))
    assert seen == [16]  # of 64 patches
    hidden = MAE(models.create("vit_tiny_patch16_224", form.image(3, 32)), width=16, depth=1, heads=2)
    feed = Feed(images, hidden.sees, viewer(form.image(3, 32)), 8, 0)
    assert torch.isfinite(hidden.loss(feed.batch(0)).loss)
