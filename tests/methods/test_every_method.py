"""What holds for every method of the catalogue, on every kind of data it is for, alone and with every regularizer."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from tests.methods import checks
from tests.methods.kinds import ENCODERS, samples

from ipse import models, papers
from ipse.data import Samples
from ipse.data.form import MODALITIES
from ipse.jobs.settings import build
from ipse.training import Feed, Method
from ipse.transforms import viewer

METHODS = sorted(p.key for p in papers.everything().values() if p.role == "method" and p.job == "pretrain")
REGULARIZERS = sorted(p.key for p in papers.everything().values() if p.role == "regularizer")
SMALL: dict[str, dict[str, Any]] = {
    "simclr": {"hidden": 32, "width": 16},
    "dcl": {"hidden": 32, "width": 16},
    "barlow-twins": {"widths": [32, 32]},
    "w-mse": {"hidden": 32, "width": 4, "size": 12},
    "moco-v3": {"widths": [32, 32, 16], "predictor": 32},
    "byol": {"hidden": 32, "width": 16},
    "tribyol": {"hidden": 32, "width": 16},
    "mae": {"width": 32, "depth": 1},
}
BATCH = 12
CASES = [(key, kind) for key in METHODS for kind in (papers.load(key, "method").modalities or MODALITIES)]
every_case = pytest.mark.parametrize(("key", "kind"), CASES)


def small(key: str, kind: str) -> Method:
    cls = papers.load(key, "method")
    name = cls.usual_encoder or models.usual(kind, transformer=cls.transformer or cls.needs_tokens)
    options = {**ENCODERS[name], **cls.encoder_options}
    config = {"method": key, "set": SMALL.get(key, {}), "encoder": name, "encoder_options": options}
    return build({**config, "pretrained": False, "seed": 0, "batch_size": BATCH}, samples(kind))


def feed_for(method: Method, data: Samples, seed: int = 0) -> Feed:
    return Feed(data, method.sees, viewer(data.form, samples=data), BATCH, seed)


def ready(key: str, kind: str) -> tuple[Method, Feed]:
    """A method at the beginning of its first round."""
    method = small(key, kind)
    feed = feed_for(method, samples(kind))
    method.before_round(0, feed)
    return method, feed


@every_case
def test_finite_loss_and_gradients_in_fp32_and_bf16(key: str, kind: str) -> None:
    method, feed = ready(key, kind)
    for _, found in checks.is_finite_in_fp32_and_bf16(method, feed.batch(0)):
        learns = {n for n, p in method.named_parameters() if p.requires_grad and "teacher" not in n}
        assert found.keys() <= learns
        if method.rounds == 1:
            assert found.keys() == learns


@every_case
def test_the_same_batch_gives_the_same_bits(key: str, kind: str) -> None:
    checks.gives_the_same_bits(lambda: ready(key, kind))


@every_case
def test_the_order_of_the_batch_does_not_matter(key: str, kind: str) -> None:
    checks.takes_a_batch_in_any_order(*ready(key, kind))


@every_case
def test_a_few_steps_lower_the_loss(key: str, kind: str) -> None:
    checks.lowers_its_loss(*ready(key, kind))


@pytest.mark.parametrize(("key", "kind"), {key: (key, kind) for key, kind in reversed(CASES)}.values())
@pytest.mark.parametrize("plus", REGULARIZERS)
def test_every_regularizer_reaches_the_encoder(key: str, kind: str, plus: str) -> None:
    method, feed = ready(key, kind)
    regularizer = papers.load(plus, "regularizer")()
    step = method.loss(feed.batch(0))
    term = regularizer(*getattr(step, regularizer.on))
    term.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in method.encoder.parameters())


@every_case
def test_state_goes_to_disk_and_back(key: str, kind: str, tmp_path: Path) -> None:
    (method, feed), other = ready(key, kind), small(key, kind)
    optimizers = [torch.optim.AdamW([p for p in m.parameters() if p.requires_grad], fused=True) for m in (method, other)]
    for step in range(2):
        batch = feed.batch(step)
        method.loss(batch).loss.backward()
        optimizers[0].step()
        method.after_step(batch)
    checks.goes_to_disk_and_back((method, optimizers[0]), (other, optimizers[1]), tmp_path / "s.safetensors")


@pytest.mark.parametrize("key", [key for key, kind in CASES if kind == "image"])
def test_a_wrong_number_of_channels_is_an_error_that_says_so(key: str) -> None:
    method, feed = ready(key, "image")
    checks.says_that_channels_are_wrong(method, feed.batch(0))


def _loss_and_gradient(fabric: Fabric, key: str, kind: str) -> tuple[float, float]:
    method, feed = ready(key, kind)
    # In batch 0 of audio a unit stands so near its kink that rounding decides on its gradient.
    return checks.loss_and_gradient(method, feed.batch(1), lambda method: method.encoder)


@pytest.mark.parametrize("kind", MODALITIES)
def test_two_processes_equal_one(kind: str) -> None:
    checks.is_in_two_processes_as_in_one(_loss_and_gradient, [case for case in CASES if case[1] == kind], 2e-3)


def test_a_copy_is_independent() -> None:
    method = small("simclr", "image")
    assert copy.deepcopy(method).encoder is not method.encoder
