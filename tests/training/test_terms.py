"""Optimizers that want the gradients of parts of the loss apart get them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from tests.pairs import in_two
from torch import nn

from ipse.data import Images, form
from ipse.models import create
from ipse.optim import optimizers
from ipse.optim.schedules import constant
from ipse.training import Batch, Feed, Method, Plan, Step, fit
from ipse.training import terms as parts
from ipse.transforms import TwoViews
from ipse.transforms.image import ImagePolicy, ImageViewer

BATCH = 16


class Two(Method):
    """Two terms: one reaches `first` and the encoder, the other `second` and the encoder."""

    sees = TwoViews()
    terms = ("task", "distillation")

    def __init__(self) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__(create("small_conv", form.image(3, 8), widths=(4, 8)))
            self.first, self.second = nn.Linear(8, 3), nn.Linear(8, 3)

    def loss(self, batch: Batch) -> Step:
        z1, z2 = (self.encoder(x) for x in batch)
        terms = {"task": 0.3 * self.first(z1).square().mean(), "distillation": 0.7 * self.second(z2).square().mean()}
        return Step(terms["task"] + terms["distillation"], z=(z1, z2), terms=terms)


class Kept(torch.optim.SGD):
    """Remembers the gradients that it was given."""

    terms = ("task", "distillation")

    def __init__(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **kwargs)
        self.gradients: parts.Gradients = {}
        self.seen: list[parts.Gradients] = []

    def step(self, closure=None):  # type: ignore[no-untyped-def, override]
        self.seen.append({p: {k: g.clone() for k, g in one.items()} for p, one in self.gradients.items()})
        super().step(closure)


def run(method: Method, monkeypatch: pytest.MonkeyPatch, fabric: Fabric | None = None, **words) -> Kept:  # type: ignore[no-untyped-def]
    made: list[Kept] = []

    def build(name: str, groups, lr: float) -> Kept:  # type: ignore[no-untyped-def]
        made.append(Kept(groups, lr=lr))
        return made[0]

    monkeypatch.setattr("ipse.training.loop.build", build)
    x = np.random.default_rng(0).integers(0, 256, (64, 3, 8, 8), dtype=np.uint8)
    feed = Feed(Images(x), method.sees, ImageViewer(ImagePolicy(), 8), BATCH, 0)
    plan = Plan(**{"lr": 0.1, "schedule": constant, "steps": 2, "warmup": 0.0, "weight_decay": 0.0} | words)
    fit(fabric or Fabric(accelerator="cpu", devices=1), method, feed, plan)
    return made[0]


def test_each_parameter_has_the_terms_that_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    method = Two()
    (gradients, _) = run(method, monkeypatch).seen
    assert set(gradients[method.first.weight]) == {"task"}
    assert set(gradients[method.second.weight]) == {"distillation"}
    assert all(set(gradients[p]) == {"task", "distillation"} for p in method.encoder.parameters())


def test_the_parts_add_up_to_the_gradient_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    method, plain = Two(), Two()
    run(method, monkeypatch)
    monkeypatch.setattr(Kept, "terms", ())
    run(plain, monkeypatch)
    for one, other in zip(method.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_clipping_scales_the_parts_like_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    (far, _), (near, _) = run(Two(), monkeypatch).seen, run(Two(), monkeypatch, clip=1e-3).seen
    total = torch.sqrt(sum((torch.stack(list(one.values())).sum(0) ** 2).sum() for one in near.values()))
    assert float(total) == pytest.approx(1e-3, rel=1e-2)
    ratios = [
        float(b[k].norm() / a[k].norm()) for a, b in zip(far.values(), near.values(), strict=True) for k in a if a[k].norm() > 0
    ]
    assert ratios == pytest.approx([ratios[0]] * len(ratios), rel=1e-3)


def test_a_term_without_gradient_is_left_out() -> None:
    layer = nn.Linear(2, 1)
    gradients = parts.backward({"task": torch.zeros(()), "other": layer(torch.ones(1, 2)).sum()}, list(layer.parameters()))
    assert {name for one in gradients.values() for name in one} == {"other"}


def _first_gradients(fabric: Fabric) -> list[dict[str, np.ndarray]]:
    with pytest.MonkeyPatch.context() as patch:
        (gradients, _) = run(Two(), patch, fabric, lr=0.0).seen
    return [{name: part.numpy() for name, part in one.items()} for one in gradients.values()]


def test_two_processes_have_the_gradients_of_one() -> None:
    one = _first_gradients(Fabric(accelerator="cpu", devices=1))
    two = in_two(_first_gradients)
    assert [set(a) for a in one] == [set(b) for b in two]
    for a, b in zip(one, two, strict=True):
        for name in a:
            np.testing.assert_allclose(b[name], a[name], rtol=1e-3, atol=1e-5)


def test_which_optimizers_want_what() -> None:
    assert optimizers.wanted_terms("dot") == ("task", "distillation")
    assert optimizers.wanted_terms("adamw") == ()
