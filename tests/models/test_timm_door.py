from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor, nn

from ipse.data import form
from ipse.errors import UserError
from ipse.models import create
from ipse.models.timm_door import TimmEncoder, default_size

SHAPES = {  # dim, then the shape of the last grid at 64 px
    "resnet18": (512, (4, 512)),
    "vit_tiny_patch16_224": (192, (16, 192)),
    "convnext_atto": (320, (4, 320)),
    "mobilenetv3_small_100": (1024, (4, 576)),  # a hidden layer behind the pooling
}
MORE = {
    "test_vit3": (96, (16, 96)),
    "test_resnet": (96, (4, 96)),
    "test_mambaout": (256, (4, 64)),  # channels last
    "test_efficientnet": (256, (4, 256)),
}


def pictures(n: int, channels: int, size: int) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def shaken(encoder: TimmEncoder) -> TimmEncoder:
    """With random numbers in every parameter, so that no part is silent as at the start."""
    torch.manual_seed(0)
    for p in encoder.parameters():
        nn.init.normal_(p, std=0.1)
    return encoder.eval()


class TestShapes:
    @pytest.mark.parametrize("name", SHAPES)
    @pytest.mark.parametrize(("channels", "size"), [(3, 64), (1, 32), (4, 32)])
    def test_forward_and_dense(self, name, channels, size):
        dim, (places, width) = SHAPES[name]
        encoder = TimmEncoder(name, form.image(channels, size))
        assert encoder.training
        encoder.eval()
        x = pictures(2, channels, size)
        with torch.no_grad():
            assert encoder(x).shape == (2, encoder.dim) == (2, dim)
            assert encoder.dense(x).shape == (2, places // (64 // size) ** 2, width)
        assert (encoder.name, encoder.form) == (name, form.image(channels, size))

    @pytest.mark.parametrize("name", MORE)
    def test_other_families(self, name):
        dim, dense = MORE[name]
        encoder = TimmEncoder(name, form.image(3, 64)).eval()
        with torch.no_grad():
            assert encoder(pictures(1, 3, 64)).shape == (1, encoder.dim) == (1, dim)
            assert encoder.dense(pictures(1, 3, 64)).shape == (1, *dense)

    def test_the_mean_of_the_places_is_the_embedding_of_a_resnet(self):
        encoder = TimmEncoder("resnet18", form.image(3, 64)).eval()
        with torch.no_grad():
            torch.testing.assert_close(encoder.dense(pictures(2, 3, 64)).mean(1), encoder(pictures(2, 3, 64)))

    def test_places_are_in_the_order_of_reading(self):
        encoder = shaken(TimmEncoder("resnet18", form.image(3, 64)))
        with torch.no_grad():
            grid = encoder.model.forward_features(encoder._normalise(pictures(1, 3, 64)))
            torch.testing.assert_close(encoder.dense(pictures(1, 3, 64))[0, 1], grid[0, :, 0, 1])

    def test_asking_for_the_width_changes_nothing(self):
        """The dry run at the start leaves running statistics and the generator of random numbers alone."""
        torch.manual_seed(0)
        plain = timm.create_model("resnet18", num_classes=0)
        after = torch.rand(1)
        torch.manual_seed(0)
        encoder = TimmEncoder("resnet18", form.image(3, 32))
        assert torch.equal(torch.rand(1), after)
        assert all(
            torch.equal(a, b) for a, b in zip(plain.state_dict().values(), encoder.model.state_dict().values(), strict=True)
        )


class TestNormalisation:
    @pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
    def test_pictures_reach_the_model_as_its_weights_expect(self, name):
        encoder = shaken(TimmEncoder(name, form.image(3, 64)))
        config = timm.get_pretrained_cfg(name)
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (config.mean, config.std))
        x = pictures(2, 3, 64)
        with torch.no_grad():
            torch.testing.assert_close(encoder(x), encoder.model(((x + 1) / 2 - mean) / std))

    @pytest.mark.parametrize("channels", [1, 4])
    def test_other_channel_counts_take_the_average(self, channels):
        encoder = TimmEncoder("resnet18", form.image(channels, 32))
        x = pictures(2, channels, 32)
        expected = ((x + 1) / 2 - (0.485 + 0.456 + 0.406) / 3) / ((0.229 + 0.224 + 0.225) / 3)
        torch.testing.assert_close(encoder._normalise(x), expected)

    def test_it_is_not_among_the_weights(self):
        assert set(TimmEncoder("test_resnet", form.image(3, 32)).state_dict()) == {
            f"model.{k}" for k in timm.create_model("test_resnet", num_classes=0).state_dict()
        }


class TestTokens:
    @pytest.mark.parametrize(
        "name",
        [
            "vit_tiny_patch16_224",  # a class token
            "deit_tiny_distilled_patch16_224",  # and one for distillation
            "deit3_small_patch16_224",  # whose class token has no position
            "test_vit",  # a size that may change
            "test_vit3",  # a register with a position, no class token
            "vit_wee_patch16_reg1_gap_256",  # a register without
        ],
    )
    def test_all_tokens_through_the_blocks_are_what_timm_computes(self, name):
        encoder = shaken(TimmEncoder(name, form.image(3, 64)))
        assert encoder.has_tokens
        x = pictures(2, 3, 64)
        with torch.no_grad():
            tokens = encoder.tokens(x)
            expected = encoder.model.forward_features(encoder._normalise(x))[:, encoder.model.num_prefix_tokens :]
            torch.testing.assert_close(encoder.blocks(tokens), expected)
            torch.testing.assert_close(encoder.dense(x), expected)
            assert tokens.shape == expected.shape

    @pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "test_vit"])
    def test_tokens_may_be_left_out_and_put_in_another_order(self, name):
        encoder = shaken(TimmEncoder(name, form.image(1, 64)))
        with torch.no_grad():
            tokens = encoder.tokens(pictures(2, 1, 64))
            some = torch.tensor([3, 0, 7, 12])
            kept = encoder.blocks(tokens[:, some])
            assert kept.shape == (2, 4, encoder.dim)
            torch.testing.assert_close(encoder.blocks(tokens[:, some.flip(0)]).flip(1), kept, atol=1e-4, rtol=1e-4)

    def test_patches_belong_to_the_tokens(self):
        encoder = TimmEncoder("vit_tiny_patch16_224", form.image(3, 64)).eval()
        x = pictures(2, 3, 64)
        patches = encoder.patches(x)
        assert patches.shape == (2, 16, 3 * 16 * 16)
        assert torch.equal(patches[:, 6], x[:, :, 16:32, 32:48].flatten(1))
        other = x.clone()
        other[:, :, 16:32, 32:48] = 0
        with torch.no_grad():
            moved = (encoder.tokens(x) - encoder.tokens(other)).abs().amax((0, 2))
        assert moved.nonzero().flatten().tolist() == [6]

    def test_a_margin_smaller_than_a_patch_is_left_out_as_timm_does(self):
        encoder = TimmEncoder("vit_tiny_patch16_224", form.image(3, 60))
        x = pictures(2, 3, 60)
        assert encoder.patches(x).shape == (2, 9, 768)
        assert encoder.tokens(x).shape == (2, 9, 192)
        assert torch.equal(encoder.patches(x)[:, 8], x[:, :, 32:48, 32:48].flatten(1))

    @pytest.mark.parametrize("name", ["resnet18", "test_mambaout", "vit_tiny_r_s16_p8_224"])
    def test_models_without_patches_of_their_own_have_none(self, name):
        encoder = TimmEncoder(name, form.image(3, 64))
        assert not encoder.has_tokens
        for call in (encoder.tokens, encoder.blocks):
            with pytest.raises(UserError, match=f"'{name}' has no "):
                call(pictures(1, 3, 64))

    def test_models_with_several_grids_have_no_dense_features(self):
        with pytest.raises(UserError, match="'coat_tiny' has no dense features"):
            TimmEncoder("coat_tiny", form.image(3, 32)).dense(pictures(1, 3, 32))


class TestRefused:
    @pytest.mark.parametrize(("name", "size"), [("efficientformer_l1", 64), ("vit_tiny_patch16_224", 8)])
    def test_sizes_that_a_model_does_not_take(self, name, size):
        with pytest.raises(UserError, match=f"timm cannot build encoder '{name}' for {size} px: ") as caught:
            create(name, form.image(3, size))
        assert "\n" not in str(caught.value)

    def test_default_sizes(self):
        assert default_size("resnet18") == 224
        assert default_size("vit_base_patch16_384") == 384
        assert default_size("efficientnet_b3") == 288
