"""A class for every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ipse.data import form
from ipse.errors import UserError
from ipse.models import Classifier, Segmenter, create, load_classifier, save_classifier

CLASSES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unet", {"width": 4}),
        ("unet", {"width": 4, "dim": 12, "depth": 1}),
        ("small_conv", {"widths": (4, 8)}),
        ("small_vit", {"width": 48, "depth": 1}),
        ("resnet10t", {}),
    ],
)
def test_every_pixel_has_a_score_for_each_class(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Segmenter(create(name, form.image(3, 32), **options), CLASSES).eval()
    x = torch.randn(2, 3, 32, 32)
    scores = model(x)
    assert scores.shape == (2, 3, 32, 32)
    torch.testing.assert_close(model.probabilities(x).sum(1), torch.ones(2, 32, 32))
    model.temperature.fill_(2.5)
    save_classifier(model, tmp_path)
    again = load_classifier(tmp_path)
    assert type(again) is Segmenter
    assert again.classes == CLASSES
    assert float(again.temperature) == 2.5
    torch.testing.assert_close(again(x), scores)


def test_a_unet_has_a_place_for_every_pixel_and_its_embedding_is_their_mean() -> None:
    encoder = create("unet", form.image(1, 24), width=4)
    assert encoder.depth == 3
    x = torch.randn(2, 1, 24, 24)
    places = encoder.eval().dense(x)
    assert places.shape == (2, 24 * 24, 4)
    torch.testing.assert_close(places.mean(1), encoder(x))


@pytest.mark.parametrize(("size", "depth"), [(24, 3), (20, 2), (30, 1)])
def test_a_unet_halves_as_often_as_the_picture_allows(size: int, depth: int) -> None:
    assert create("unet", form.image(1, size), width=4).depth == depth


@pytest.mark.parametrize(("size", "options"), [(31, {}), (30, {"depth": 2})])
def test_sizes_that_cannot_be_halved_are_an_error_that_says_so(size: int, options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="multiple of"):
        create("unet", form.image(1, size), width=4, **options)


def test_what_has_no_pixels_is_refused() -> None:
    with pytest.raises(UserError, match="pixels of pictures"):
        Segmenter(create("table_mlp", form.table([{"name": "a", "categories": None, "mean": 0, "scale": 1}])), CLASSES)


def test_a_classifier_stays_one(tmp_path: Path) -> None:
    save_classifier(Classifier(create("unet", form.image(1, 16), width=4), CLASSES), tmp_path)
    assert type(load_classifier(tmp_path)) is Classifier
