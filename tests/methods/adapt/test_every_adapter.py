"""What holds for every method that adapts, on every kind of data it is for."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.methods.kinds import ENCODERS, samples
from torch import Tensor, nn

from ipse import models, papers
from ipse.data.form import MODALITIES
from ipse.methods.adapt import Adapter, Guarded
from ipse.models.branch import Branch
from ipse.training import state as states
from ipse.transforms import viewer

METHODS = sorted(p.key for p in papers.everything().values() if p.role == "adapt method")
SMALL: dict[str, dict[str, Any]] = {"rmt-tta": {"width": 8, "warmup_batch": 18}, "ttt-rotation": {"steps": 2, "copies": 2}}
CASES = [(key, kind) for key in METHODS for kind in (papers.load(key, "adapt method").modalities or MODALITIES)]
every_case = pytest.mark.parametrize(("key", "kind"), CASES)


def classifier(kind: str) -> models.Classifier:
    name = models.usual(kind, transformer=kind == "series")  # the usual one has no normalisation
    options = {**ENCODERS[name], **({"widths": (8, 16, 16)} if kind == "image" else {})}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.Classifier(models.create(name, samples(kind).form, **options), ["a", "b", "c"])
        model(batch(kind, 0))  # statistics
        if kind == "image":
            model.rotation = Branch(model.encoder, 4)
    return model.eval()


def batch(kind: str, start: int = 0, n: int = 6) -> Tensor:
    return viewer(samples(kind).form).original(samples(kind).read(torch.arange(start, start + n))).x


def made(key: str, kind: str, model: nn.Module | None = None, prepare: bool = True) -> Adapter:
    adapter: Adapter = papers.load(key, "adapt method")(model or classifier(kind), **SMALL.get(key, {}))
    if adapter.needs_source and prepare:
        adapter.prepare(batch(kind, 0, 18), torch.arange(18) % 3)
    return adapter


@every_case
def test_finite_answers_in_fp32_and_bf16(key: str, kind: str) -> None:
    for context in (torch.autocast("cpu", enabled=False), torch.autocast("cpu", torch.bfloat16)):
        adapter, batches = made(key, kind), [batch(kind), batch(kind, 12)]
        with context:
            for x in batches:
                logits = adapter(x)
        assert logits.shape == (6, 3)
        assert logits.isfinite().all()
        assert not logits.requires_grad
        assert all(t.isfinite().all() for t in adapter.model.state_dict().values())


@every_case
def test_the_same_stream_gives_the_same_bits_and_the_callers_random_state_stays(key: str, kind: str) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    outputs = []
    for _ in range(2):
        adapter = made(key, kind)
        outputs.append(torch.cat([adapter(batch(kind, start)) for start in (0, 12)]))
    assert torch.equal(*outputs)
    assert torch.equal(before, torch.get_rng_state())


@every_case
def test_the_users_model_stays_as_it_is(key: str, kind: str) -> None:
    model = classifier(kind).train()
    before = copy.deepcopy(model.state_dict())
    made(key, kind, model)(batch(kind))
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@every_case
def test_reset_goes_back_to_the_start(key: str, kind: str) -> None:
    adapter = made(key, kind)
    adapter.episodic = False
    adapter.begin()
    before = {k: v.clone() for k, v in adapter._present().items() if k != "seen"}
    adapter(batch(kind))
    adapter.reset()
    after = {k: v for k, v in adapter._present().items() if k != "seen"}
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) for k in before)


@every_case
def test_episodes_do_not_know_of_each_other(key: str, kind: str) -> None:
    adapter = made(key, kind)
    adapter.episodic = True
    first = adapter(batch(kind))
    adapter(batch(kind, 12))
    adapter.seen.zero_()  # the same random numbers
    assert torch.equal(adapter(batch(kind)), first)


@every_case
def test_state_goes_to_disk_and_back_and_the_stream_on_with_the_same_bits(key: str, kind: str, tmp_path: Path) -> None:
    model = classifier(kind)
    one = Guarded(made(key, kind, model), model)
    for start in (0, 12):
        one(batch(kind, start))
    states.write(states.State(one.state_dict(), {}), tmp_path / "s.safetensors")
    two = Guarded(made(key, kind, model, prepare=False), model)
    two.load_state_dict(states.read(tmp_path / "s.safetensors").tensors)
    for start in (24, 36):
        assert torch.equal(one(batch(kind, start)), two(batch(kind, start)))
    one.reset()
    two.reset()
    assert torch.equal(one(batch(kind)), two(batch(kind)))


@pytest.mark.parametrize("key", METHODS)
def test_what_is_no_sample_is_an_error_that_says_so(key: str) -> None:
    with pytest.raises((RuntimeError, ValueError)):
        made(key, "image")(batch("image")[:, :1])


@pytest.mark.parametrize("key", METHODS)
def test_a_single_sample_is_answered(key: str) -> None:
    assert made(key, "image")(batch("image", 0, 1)).isfinite().all()
