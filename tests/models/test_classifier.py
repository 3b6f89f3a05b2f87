"""An encoder with a head: what it says, and its way to disk and back."""

from pathlib import Path

import pytest
import torch

from ipse import models
from ipse.data import form
from ipse.errors import UserError


def small() -> models.Classifier:
    torch.manual_seed(0)
    return models.Classifier(
        models.create("table_mlp", form.table([{"name": "a", "categories": None, "mean": 0.0, "scale": 1.0}])), ["no", "yes"]
    ).eval()


def test_the_scores_are_the_heads_of_the_features() -> None:
    model, x = small(), torch.randn(3, 1)
    assert torch.equal(model(x), model.features(x) @ model.head.weight.T + model.head.bias)


def test_a_temperature_flattens_the_probabilities_and_keeps_their_order() -> None:
    model, x = small(), torch.randn(3, 1)
    sharp = model.probabilities(x)
    model.temperature.fill_(2.0)
    flat = model.probabilities(x)
    torch.testing.assert_close(flat, (model(x) / 2).softmax(-1))
    assert torch.equal(flat.argmax(-1), sharp.argmax(-1))
    assert (flat.amax(-1) < sharp.amax(-1)).all()


def test_it_goes_to_disk_and_back(tmp_path: Path) -> None:
    model, x = small(), torch.randn(3, 1)
    model.temperature.fill_(1.5)
    models.save_classifier(model, tmp_path)
    back = models.load_classifier(tmp_path)
    assert back.classes == ("no", "yes")
    assert torch.equal(back.probabilities(x), model.probabilities(x))
    assert not list(tmp_path.glob("*.part"))


def test_an_encoder_without_classes_says_how_to_learn_some(tmp_path: Path) -> None:
    models.save(small().encoder, tmp_path)
    with pytest.raises(UserError, match="ipse selftrain"):
        models.load_classifier(tmp_path)


def test_a_damaged_head_is_named(tmp_path: Path) -> None:
    models.save_classifier(small(), tmp_path)
    (tmp_path / "head.safetensors").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="head in .* is damaged"):
        models.load_classifier(tmp_path)
