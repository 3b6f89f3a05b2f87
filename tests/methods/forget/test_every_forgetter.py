"""What holds for every method that forgets, on classes and on numbers."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ipse import models, papers
from ipse.data import Samples, open_data
from ipse.errors import UserError
from ipse.methods.forget import Forgetter
from ipse.metrics.unlearning import look

KEYS = sorted(p.key for p in papers.everything().values() if p.role == "forget method")
SMALL: dict[str, dict[str, Any]] = {
    "scar": {"epochs": 1, "rounds": 2, "batch_size": 32},
    "laf": {"epochs": 1, "autoencoder_epochs": 1},
    "stochastic-teacher": {},
    "deep-regression-unlearning": {"batch_size": 32},
}
CASES = [(key, says) for key in KEYS for says in sorted(papers.load(key, "forget method").says)]
every_case = pytest.mark.parametrize(("key", "says"), CASES)


@cache
def pictures() -> tuple[Samples, Samples]:
    """96 pictures of three classes of brightness, and 32 of another source."""
    rng = np.random.default_rng(0)
    y = np.arange(96) % 3
    x = (rng.integers(0, 90, (96, 1, 8, 8)) + 80 * y[:, None, None, None]).astype(np.uint8)
    other = np.sort(rng.integers(0, 256, (32, 1, 8, 8), dtype=np.uint8), axis=-1)
    return open_data((x, y)).train, open_data(other).train


def model_of(says: str) -> models.Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kind = models.Regressor if says == "numbers" else models.Classifier
        return kind(models.create("small_conv", pictures()[0].form, widths=(8, 16), grid=8), ("0", "1", "2")).eval()


def small(key: str, **more: Any) -> Forgetter:
    usual = SMALL.get(key, {"epochs": 1, "batch_size": 32})
    forgetter: Forgetter = papers.load(key, "forget method")(**usual | more)
    return forgetter


def ran(key: str, says: str, places: np.ndarray | None = None, **more: Any) -> tuple[models.Classifier, models.Classifier]:
    samples, pool = pictures()
    places = np.flatnonzero(samples.y == 0)[:20] if places is None else places
    rest = samples.subset(np.setdiff1d(np.arange(len(samples)), places))
    model = model_of(says)
    after = small(key).forget(model, forget=samples.subset(places), retain=rest, pool=pool, test=rest, **more)
    return model, after


@every_case
def test_the_model_stays_and_the_result_is_another_that_is_finite(key: str, says: str) -> None:
    model, after = ran(key, says)
    fresh = model_of(says)
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in fresh.state_dict().items())
    assert not model.training
    assert not after.training
    assert type(after) is type(model)
    assert after.classes == model.classes
    assert all(v.isfinite().all() for v in after.state_dict().values())
    assert any(not torch.equal(v, model.state_dict()[k]) for k, v in after.state_dict().items())
    assert all(p.requires_grad for p in after.parameters())


@every_case
def test_the_same_seed_gives_the_same_bits_and_the_caller_keeps_his_chance(key: str, says: str) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    _, one = ran(key, says, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    _, two = ran(key, says, seed=3)
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())


@every_case
def test_one_sample_can_be_forgotten(key: str, says: str) -> None:
    _, after = ran(key, says, np.array([5]))
    assert look(after, pictures()[0]).scores.isfinite().all()


@every_case
def test_it_goes_to_disk_and_back(key: str, says: str, tmp_path: Path) -> None:
    _, after = ran(key, says)
    models.save_classifier(after, tmp_path)
    again = models.load_classifier(tmp_path)
    x = torch.zeros(2, 1, 8, 8)
    torch.testing.assert_close(again(x), after(x))


@every_case
def test_every_stage_is_told(key: str, says: str) -> None:
    class Listener:
        stages = steps = 0

        def start(self, steps: int, first: int) -> None:
            self.stages += 1

        def record(self, method: torch.nn.Module, record: dict[str, Any]) -> None:
            self.steps += 1
            assert np.isfinite(record["loss"])

        def event(self, step: int, text: str) -> None: ...
        def close(self) -> None: ...

    listener = Listener()
    ran(key, says, observer=listener)
    assert listener.stages >= 1
    assert listener.steps >= listener.stages


@every_case
def test_what_it_needs_and_is_not_given_is_said(key: str, says: str) -> None:
    samples, pool = pictures()
    kind, model = papers.load(key, "forget method"), model_of(says)
    few, rest = samples.subset([0, 3]), samples.subset(np.arange(6, 96))
    with pytest.raises(UserError, match="nothing to forget"):
        small(key).forget(model, forget=samples.subset([]), retain=rest, pool=pool)
    if "retain" in kind.needs:
        with pytest.raises(UserError, match="needs samples to keep"):
            small(key).forget(model, forget=few, pool=pool)
    else:
        small(key).forget(model, forget=few, pool=pool)
    if "pool" in kind.needs:
        with pytest.raises(UserError, match="--pool"):
            small(key).forget(model, forget=few, retain=rest)
    if "labels" in kind.needs:
        with pytest.raises(UserError, match="label of every sample"):
            small(key).forget(model, forget=few.relabelled(np.array([0, -1])), retain=rest, pool=pool)


@pytest.mark.parametrize("key", KEYS)
def test_a_model_that_says_something_else_is_refused(key: str) -> None:
    samples, pool = pictures()
    for says in {"classes", "numbers"} - papers.load(key, "forget method").says:
        with pytest.raises(UserError, match="this one says"):
            small(key).forget(model_of(says), forget=samples.subset([0]), retain=samples.subset([1, 2]), pool=pool)


@pytest.mark.parametrize("kind", ["series", "table", "audio"])
def test_other_kinds_of_data(kind: str) -> None:
    from tests.methods.kinds import ENCODERS
    from tests.methods.kinds import samples as of_kind

    samples = of_kind(kind).relabelled(np.arange(48) % 2)
    name = models.usual(kind)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.Classifier(models.create(name, samples.form, **ENCODERS[name]), ("a", "b")).eval()
    few, rest = samples.subset(np.arange(10)), samples.subset(np.arange(10, 48))
    for key in ("opc", "laf", "stochastic-teacher", "scar"):
        after = small(key).forget(copy.deepcopy(model), forget=few, retain=rest, pool=rest, test=rest)
        assert look(after, samples).scores.isfinite().all()
