"""What the papers say of single methods that forget.

The values of SCAR are those of `cov_mat_shrinkage`, `normalize_cov` and `mahalanobis_dist` of jbonato1/SCAR
(src/Unlearning_methods.py), and that of the blindspot loss is `forget_loss` of ayu987/deep-regression-unlearning (unlearn.py), called
with what `waves` gives, in float64.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.methods.forget.test_every_forgetter import model_of, pictures, ran, small
from torch import Tensor

from ipse import models
from ipse.data import Samples, open_data
from ipse.errors import UserError
from ipse.losses.forgetting import attention_difference, divergence
from ipse.methods.forget import Given, fresh, outputs, supervision
from ipse.methods.forget.deep_regression import DeepRegressionUnlearning, _Mixed, activations
from ipse.methods.forget.fine_tune import FineTune
from ipse.methods.forget.laf import LAF, Autoencoder
from ipse.methods.forget.loreun import LoReUn
from ipse.methods.forget.opc import OPC
from ipse.methods.forget.random_labels import RandomLabels
from ipse.methods.forget.retrain import Retrain
from ipse.methods.forget.scar import SCAR, Statistics, by_class, normalised, powered, precision, shrunk
from ipse.methods.forget.stochastic_teacher import StochasticTeacher, said
from ipse.metrics.unlearning import entropy, look
from ipse.training import Batch
from ipse.transforms import View


def waves(*shape: int, k: float = 1.0) -> Tensor:
    return torch.sin(torch.arange(1, 1 + math.prod(shape)).double() * k).reshape(*shape)


def halves() -> tuple[Samples, Samples, Samples]:
    """One class to forget, the other two to keep, and all."""
    samples, _ = pictures()
    return samples.subset(np.flatnonzero(samples.y == 0)), samples.subset(np.flatnonzero(samples.y > 0)), samples


@pytest.fixture(scope="module")
def taught() -> models.Classifier:
    """A model that has learned all three classes."""
    few, _, every = halves()
    model = Retrain(epochs=12, batch_size=32, lr=1e-2).forget(model_of("classes"), forget=few, retain=every)
    assert look(model, every).accuracy > 0.95
    return model


@pytest.fixture(scope="module")
def counting() -> models.Regressor:
    """A model that has learned the three numbers."""
    few, _, every = halves()
    model = Retrain(epochs=12, batch_size=32, lr=1e-2).forget(model_of("numbers"), forget=few, retain=every)
    assert isinstance(model, models.Regressor)
    assert look(model, every).error < 0.3
    return model


def batch_of(samples: Samples, index: list[int]) -> Batch:
    x = samples.read(index)["x"].float() / 127.5 - 1
    place = torch.tensor(index)
    return Batch([View(x)], place, place, y=torch.from_numpy(samples.y)[place])


# one-point contraction


def test_opc_leaves_the_forgotten_class_undecided_and_keeps_the_others(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    after = OPC(epochs=20, lr=0.02, batch_size=16).forget(taught, forget=few, retain=rest)
    assert entropy(look(after, few).scores).mean() > 0.9 * math.log(3)
    assert entropy(look(taught, few).scores).mean() < 0.5 * math.log(3)
    assert look(after, rest).accuracy > 0.95


def test_opc_does_not_look_at_the_labels_of_what_is_forgotten(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    method = OPC(epochs=1, batch_size=16)
    one = method.forget(taught, forget=few, retain=rest)
    two = method.forget(taught, forget=few.relabelled(np.full(len(few), -1)), retain=rest)
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())


def test_opc_that_forgets_nothing_is_fine_tuning(taught: models.Classifier) -> None:
    few, rest, _ = halves()

    class Apart(OPC):
        forgets = False

    one = Apart(epochs=1, lr=0.01, batch_size=16).forget(taught, forget=few, retain=rest)
    two = FineTune(epochs=1, lr=0.01, batch_size=16).forget(taught, forget=few, retain=rest)
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())


def test_opc_may_contract_the_features_too(taught: models.Classifier) -> None:
    samples = pictures()[0]
    batch = batch_of(samples, [0, 3])
    h = taught.features(batch.views[0].x)
    plain, more = (OPC(features=share).each(taught, h, taught.head(h), batch) for share in (0.0, 2.0))
    torch.testing.assert_close(more - plain, 2 * h.norm(dim=1), atol=1e-4, rtol=1e-4)


def test_opc_contracts_the_features_of_the_pass_that_it_learns_from(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    passes: list[int] = []
    handle = taught.encoder.register_forward_hook(lambda module, given, h: passes.append(len(h)))
    OPC(epochs=1, batch_size=16, features=1.0).forget(taught, forget=few, retain=rest)
    handle.remove()
    assert passes == [32] * 4


# loss-based reweighting


def test_loreun_with_an_infinite_temperature_is_its_base(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    words = {"epochs": 1, "lr": 0.01, "batch_size": 16}
    for when in ("dynamic", "static"):
        one = LoReUn(temperature=math.inf, when=when, **words).forget(taught, forget=few, retain=rest)  # type: ignore[arg-type]
        two = RandomLabels(**words).forget(taught, forget=few, retain=rest)  # type: ignore[arg-type]
        for k, v in one.state_dict().items():
            torch.testing.assert_close(v, two.state_dict()[k], atol=1e-5, rtol=1e-5)


def test_loreun_weighs_by_the_true_label_of_the_model_as_it_was_or_is(taught: models.Classifier) -> None:
    samples = pictures()[0]
    batch = batch_of(samples, [0, 1, 2, 3, 4])
    few = samples.subset(np.arange(5))
    other = fresh(taught, 5).eval()
    z = outputs(other, batch.views[0].x)
    for when, e in (("dynamic", supervision(other, z, batch.y)), ("static", look(taught, few).loss)):
        method = LoReUn(when=when, temperature=0.7)  # type: ignore[arg-type]
        method.begin(taught, few)
        weights = method.weights(other, z, batch)
        torch.testing.assert_close(weights, 5 * (-e.float() / 0.7).softmax(0).detach(), atol=1e-4, rtol=1e-4)
        assert not weights.requires_grad


@pytest.mark.parametrize("base", ["fine-tune", "loreun", "laf", "retrain"])
def test_loreun_needs_a_base_with_a_loss_for_each_sample(base: str) -> None:
    with pytest.raises(UserError, match="no loss for each sample"):
        LoReUn(base=base)


def test_random_labels_are_wrong_and_drawn_once() -> None:
    few, _, _ = halves()
    method = RandomLabels()
    method.begin(model_of("classes"), few)
    first = method.wrong
    method.begin(model_of("classes"), few)
    assert (first != torch.from_numpy(few.y)).all()
    assert torch.equal(first, method.wrong)
    assert set(first.tolist()) == {1, 2}


# label-agnostic forgetting


def test_laf_needs_no_labels(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    method = LAF(epochs=1, autoencoder_epochs=1)
    one = method.forget(taught, forget=few, retain=rest)
    none = (part.relabelled(np.full(len(part), -1)) for part in (few, rest))
    two = method.forget(taught, **dict(zip(("forget", "retain"), none, strict=True)))
    assert all(torch.equal(v, two.state_dict()[k]) for k, v in one.state_dict().items())


def test_laf_leaves_the_head_alone_unless_labels_repair_it(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    plain = LAF(epochs=1, autoencoder_epochs=1).forget(taught, forget=few, retain=rest)
    assert torch.equal(plain.head.weight, taught.head.weight)
    repaired = LAF(epochs=1, autoencoder_epochs=1, supervised=20).forget(taught, forget=few, retain=rest)
    assert not torch.equal(repaired.head.weight, taught.head.weight)
    for k, v in plain.encoder.state_dict().items():
        assert torch.equal(v, repaired.encoder.state_dict()[k])


def test_laf_keeps_the_statistics_of_normalisations(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    after = LAF(epochs=1, autoencoder_epochs=1).forget(taught, forget=few, retain=rest)
    kept = dict(taught.named_buffers())
    assert all(torch.equal(v, kept[k]) for k, v in after.named_buffers())
    assert not torch.equal(look(after, few).features, look(taught, few).features)


def test_an_autoencoder_of_constant_features_learns_them() -> None:
    torch.manual_seed(0)
    vae, e = Autoencoder(6, 4), torch.full((16, 6), 1.5)
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)
    for step in range(200):
        loss = (vae(e, step)[0] - e).square().sum() / 16
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-2


# selective distillation


def test_scars_statistics_are_those_of_the_authors() -> None:
    z = waves(30, 4).abs()
    z[:, 1] += z[:, 0]
    v = z**0.5
    s = normalised(shrunk(shrunk(v.T.cov(), 3, 3), 3, 3))
    assert s[0].tolist() == pytest.approx([1.0, -0.006337134068762511, -0.07140575214590923, 0.03436899631808153])
    assert s[2].tolist() == pytest.approx([-0.07140575214590923, -0.07633552214957369, 1.0, -0.0593931730656004])
    other = waves(30, 4, k=0.7).abs() ** 0.5
    precisions = torch.stack([precision(v, 3, 3), precision(other, 3, 3)]).float()
    means = torch.stack([v.mean(0), other.mean(0)]).float()
    statistics = Statistics(torch.tensor([0, 1]), means, precisions, 0.5)
    expected = [[0.08209940654773121, 0.07907250853687842], [0.12351041556183234, 0.03372991323399441]]
    found = statistics.distances(waves(2, 4, k=1.1).abs())
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=1e-3)
    place = torch.tensor([1, 0])
    torch.testing.assert_close(statistics.distance(waves(2, 4, k=1.1).abs(), place), found[torch.arange(2), place])


def test_the_distance_is_zero_along_the_mean_and_a_cosine_with_a_precision_of_one() -> None:
    e = waves(5, 6).abs().float()
    v = powered(e, 0.5)
    statistics = Statistics(torch.arange(5), v, torch.eye(6).expand(5, 6, 6), 0.5)
    distances = statistics.distances(e)
    cosine = F.cosine_similarity(v[:, None], v[None], dim=-1)
    torch.testing.assert_close(distances, 2 - 2 * cosine, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(statistics.distances(4 * e).diagonal(), torch.zeros(5), atol=1e-5, rtol=0)
    own = torch.arange(5)
    assert (statistics.classes[statistics.nearest(e, own)] != own).all()


def test_shrinking_by_nothing_changes_nothing_and_correlations_have_a_diagonal_of_one() -> None:
    s = waves(20, 4).T.cov()
    torch.testing.assert_close(shrunk(s, 0, 0), s)
    torch.testing.assert_close(normalised(s).diagonal(), torch.ones(4).double())


def test_scar_forgets_a_class_without_moving_statistics_of_normalisations(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    pool = pictures()[1]
    after = SCAR(lr=2e-3, epochs=15, batch_size=32).forget(taught, forget=few, retain=rest, pool=pool)
    assert look(after, few).accuracy < 0.1
    for k, v in taught.named_buffers():
        if "running" in k:
            assert torch.equal(v, dict(after.named_buffers())[k])


def test_scars_teacher_never_names_the_forgotten_class(taught: models.Classifier) -> None:
    _, _, every = halves()
    method, gone = SCAR(), torch.tensor([0])
    batch = batch_of(every, list(range(30)))
    with torch.no_grad():
        before = taught(batch.views[0].x)
    kept = before[before.argmax(1) != 0].clone()
    kept[:, 0] = kept.min()
    expected = divergence(kept, before[before.argmax(1) != 0])
    torch.testing.assert_close(method._held(taught, taught, batch, gone, True), expected)
    assert (kept.softmax(1)[:, 0] <= kept.softmax(1)[:, 1:].amin(1) + 1e-6).all()
    assert method._held(taught, taught, batch, gone, False).item() == pytest.approx(0, abs=1e-5)


def test_scar_with_its_own_samples_needs_a_whole_class_and_foreign_samples_of_it(taught: models.Classifier) -> None:
    few, rest, every = halves()
    method = SCAR(own=True, epochs=1, rounds=1, batch_size=32)
    after = method.forget(taught, forget=few, retain=rest, pool=every.relabelled(np.full(len(every), -1)))
    assert look(after, every).scores.isfinite().all()
    with pytest.raises(UserError, match="whole classes"):
        method.forget(taught, forget=few.subset(np.arange(5)), retain=every, pool=every)
    with pytest.raises(UserError, match="takes none"):
        method.forget(taught, forget=few, retain=rest, pool=rest)


def test_shares_by_class() -> None:
    right, y = torch.tensor([True, False, True]), torch.tensor([0, 0, 2])
    assert by_class(right, y, 4).tolist() == [0.5, 0, 1, 0]


# stochastic teacher


def test_the_teacher_speaks_by_the_mean_of_probabilities_and_nothing_is_left_where_it_says_the_same() -> None:
    model, x = model_of("classes").train(), batch_of(pictures()[0], list(range(12))).views[0].x
    copies = [copy.deepcopy(model) for _ in range(2)]
    assert divergence(said(copies[:1], x), outputs(model, x)).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        copies[1].head.weight.zero_()
        copies[1].head.bias.zero_()
    torch.testing.assert_close(said(copies[1:], x).exp(), torch.full((12, 3), 1 / 3))
    mean = (outputs(model, x).softmax(1) + 1 / 3) / 2
    torch.testing.assert_close(said(copies, x).exp(), mean, atol=1e-5, rtol=1e-5)


def test_nothing_moves_where_the_random_teacher_is_the_model_itself(taught: models.Classifier) -> None:
    few, rest, _ = halves()

    class Itself(StochasticTeacher):
        def _draw(self, model: models.Classifier, seed: int, step: int = 0) -> list[models.Classifier]:
            return [copy.deepcopy(taught).train().requires_grad_(False)]

    after = Itself(repair_epochs=0, batch_size=16).forget(taught, forget=few, retain=rest)
    # A step of repair is always taken; its gradient is that of the batch's statistics alone.
    assert look(after, rest).accuracy > 0.9
    weights = [(v - after.state_dict()[k]).abs().max() for k, v in taught.named_parameters()]
    assert max(weights) < 0.05


def test_it_is_erased_and_repaired(taught: models.Classifier) -> None:
    few, rest, _ = halves()
    method = StochasticTeacher(erase_epochs=15, repair_epochs=10, batch_size=16, lr=0.02)
    erased = StochasticTeacher(erase_epochs=15, repair_epochs=0.1, batch_size=16, lr=0.02).forget(
        taught, forget=few, retain=rest
    )
    after = method.forget(taught, forget=few, retain=rest)
    assert look(erased, few).accuracy < 0.3
    assert look(after, few).accuracy < 0.3
    assert look(after, rest).accuracy > 0.9


# deep regression unlearning


def test_the_blindspot_loss_is_that_of_the_authors() -> None:
    x, y = waves(3, 2, 4, 4), waves(3, 2, 4, 4, k=0.7)
    a, b = waves(3, 5, 2, 2), waves(3, 5, 2, 2, k=0.7)
    m = torch.tensor([True, False, True])
    there = attention_difference([x[m], a[m]], [y[m], b[m]])
    value = (waves(3, 1) - waves(3, 1, k=0.7))[m].abs().mean() + 50 * there
    assert value.item() == pytest.approx(4.817170735484388, rel=1e-12)


def test_a_batch_of_kept_samples_is_plain_training_and_one_of_forgotten_is_imitation(counting: models.Regressor) -> None:
    few, rest, _ = halves()
    model, blind = copy.deepcopy(counting), fresh(counting, 3).eval()
    assert isinstance(blind, models.Regressor)
    method = DeepRegressionUnlearning()

    class Only(_Mixed):
        def __init__(self, samples: Samples, forgotten: bool):
            self.found = batch_of(samples, list(range(8))), torch.full((8,), forgotten)

        def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            batch, forgotten = self.found
            return batch.views[0].x, batch.y, forgotten, batch.index

    x, y, _, _ = Only(rest, False).batch(0)
    plain = supervision(model, model.head(model.features(x)), y).mean()
    torch.testing.assert_close(method._blindspot(model, Only(rest, False), blind)(0), plain)
    x, y, _, _ = Only(few, True).batch(0)
    with activations(model) as inner:
        z = model.head(model.features(x))
    with torch.no_grad(), activations(blind) as other:
        target = blind.head(blind.features(x))
    expected = (z - target).abs().mean() + 50 * attention_difference(inner, other)
    torch.testing.assert_close(method._blindspot(model, Only(few, True), blind)(0), expected)
    assert len(inner) > 2


def test_mixed_batches_take_every_sample_once_an_epoch() -> None:
    few, rest, _ = halves()
    mixed = _Mixed(Given(few, rest), 32, torch.device("cpu"))
    parts = [mixed.batch(step) for step in range(3)]
    forgotten, index = (torch.cat([part[i] for part in parts]) for i in (2, 3))
    assert sorted(index[forgotten].tolist()) == list(range(len(few)))
    assert sorted(index[~forgotten].tolist()) == list(range(len(rest)))
    x, y, flag, place = parts[0]
    for i in (0, 5, 31):
        source = few if flag[i] else rest
        expected = source.read([int(place[i])])["x"][0].float() / 127.5 - 1
        torch.testing.assert_close(x[i], expected)
        assert int(y[i]) == source.y[int(place[i])]


@pytest.mark.parametrize("how", ["blindspot", "amnesiac"])
def test_a_number_is_forgotten(counting: models.Regressor, how: str) -> None:
    few, rest, _ = halves()
    method = DeepRegressionUnlearning(how=how, epochs=6, batch_size=32, blindspot_epochs=4)  # type: ignore[arg-type]
    after = method.forget(counting, forget=few, retain=rest)
    assert look(after, few).error > look(counting, few).error + 0.1
    assert look(after, rest).error < 0.6


# regressors


def test_a_regressor_says_numbers_and_names_the_nearest_class() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models.Regressor(
            models.create("small_conv", pictures()[0].form, widths=(8, 16), grid=8), ("10", "20", "40")
        ).eval()
    x = batch_of(pictures()[0], [0, 1, 2]).views[0].x
    numbers = model.numbers(x)
    nearest = (numbers[:, None] - torch.tensor([10.0, 20, 40])).abs().argmin(1)
    assert torch.equal(model(x).argmax(1), nearest)
    z = model.head(model.features(x))
    torch.testing.assert_close(supervision(model, z, nearest), (numbers - model.values[nearest]).abs() / model.scale)


@pytest.mark.parametrize(("classes", "message"), [(("1", "cat"), "'cat' is none"), (("3",), "all of these are the same")])
def test_classes_that_are_no_numbers_are_named(classes: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        models.Regressor(model_of("classes").encoder, classes)


def test_retraining_without_them_is_the_same_as_never_having_seen_them() -> None:
    few, rest, _ = halves()
    one = ran("retrain", "classes", np.flatnonzero(pictures()[0].y == 0))[1]
    two = small("retrain").forget(fresh(model_of("classes"), 9), forget=few, retain=rest_alone(rest))
    for k, v in one.state_dict().items():
        torch.testing.assert_close(v, two.state_dict()[k], atol=1e-5, rtol=1e-5)


def rest_alone(samples: Samples) -> Samples:
    """The same samples in a store that holds no others."""
    x = samples.read(np.arange(len(samples)))["x"].numpy()
    return open_data(x).train.relabelled(samples.y)
