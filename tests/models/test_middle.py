from __future__ import annotations

import copy

import pytest
import torch

from ipse import models
from ipse.data import form
from ipse.errors import UserError
from ipse.models.middle import Middle


def conv(**options: object) -> models.Encoder:
    return models.create("small_conv", form.image(3, 16), widths=(8, 16, 32), **options)


def test_the_second_of_three_stages_of_a_convolutional_encoder() -> None:
    encoder, x = conv().eval(), torch.randn(4, 3, 16, 16)
    middle = Middle(encoder, x[:1])
    encoder(x)
    assert middle.part is encoder.layers[7]
    torch.testing.assert_close(middle.features(4), encoder.layers[:8](x).mean((2, 3)))
    assert middle.width == 16


def test_three_quarters_of_the_blocks_of_a_transformer() -> None:
    encoder, x = models.create("small_vit", form.image(3, 16), width=24, depth=8, heads=2).eval(), torch.randn(4, 3, 16, 16)
    middle = Middle(encoder, x)
    encoder(x)
    tokens = encoder.tokens(x)
    for layer in encoder.layers[:6]:
        tokens = layer(tokens)
    torch.testing.assert_close(middle.features(4), tokens.mean(1))


def test_stage_three_of_a_resnet() -> None:
    encoder = models.create("resnet18", form.image(3, 32))
    middle = Middle(encoder, torch.zeros(1, 3, 32, 32))
    assert middle.part is encoder.get_submodule("model.layer3.1")
    assert middle.width == 256


def test_gradients_reach_the_first_part_and_not_the_last() -> None:
    encoder = conv()
    middle = Middle(encoder, torch.zeros(1, 3, 16, 16))
    encoder(torch.randn(4, 3, 16, 16))
    middle.features(4).sum().backward()
    assert encoder.layers[0].weight.grad is not None
    assert encoder.layers[8].weight.grad is None


def test_it_tries_the_encoder_without_changing_it() -> None:
    encoder = conv()
    before = {name: t.clone() for name, t in encoder.state_dict().items()}
    Middle(encoder, torch.randn(4, 3, 16, 16))
    assert encoder.training
    assert all(torch.equal(before[name], t) for name, t in encoder.state_dict().items())


def test_a_copy_sees_its_own_encoder() -> None:
    class Both(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = conv()
            self.middle = Middle(self.encoder, torch.zeros(1, 3, 16, 16))

    one = Both()
    two = copy.deepcopy(one)
    two.encoder(torch.randn(4, 3, 16, 16))
    assert two.middle.features(4).shape == (4, 16)
    with pytest.raises(AssertionError, match="has seen nothing since"):
        one.middle.features(4)


def test_an_encoder_of_one_piece_is_refused() -> None:
    class One(models.Encoder):
        def __init__(self) -> None:
            super().__init__()
            self.name, self.dim, self.linear = "one", 2, torch.nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x)

    with pytest.raises(UserError, match="encoder 'one' is all of one piece"):
        Middle(One(), torch.zeros(2, 3))
