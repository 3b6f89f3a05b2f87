from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.data import form
from ipse.errors import UserError
from ipse.models import create
from ipse.models.conv import SmallConv
from ipse.models.vit import SmallViT


def pictures(n: int, channels: int, size: int) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


class TestSmallConv:
    @pytest.mark.parametrize("size", [4, 8, 14, 28, 32, 48, 64, 96])
    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_shapes(self, size, channels):
        encoder = SmallConv(form.image(channels, size), (8, 12, 16), (1, 1, 1)).eval()
        x = pictures(2, channels, size)
        h, dense = encoder(x), encoder.dense(x)
        first = size // max(1, round(size / 16))
        assert h.shape == (2, encoder.dim) == (2, 16)
        assert dense.shape == (2, (first // 4) ** 2, 16)
        torch.testing.assert_close(dense.mean(1), h)
        assert not encoder.has_tokens

    def test_places_are_in_the_order_of_reading(self):
        encoder = SmallConv(form.image(1, 32), (8, 8, 8), (1, 1, 1)).eval()
        grid = encoder.layers(pictures(1, 1, 32))
        assert torch.equal(encoder.dense(pictures(1, 1, 32))[0, 6], grid[0, :, 1, 2])  # 4 x 4 places

    def test_pictures_too_small_for_its_stages_are_refused(self):
        with pytest.raises(UserError, match="small_conv needs pictures of at least 4 px a side, not 3"):
            create("small_conv", form.image(3, 3), widths=(8, 8, 8))
        assert create("small_conv", form.image(3, 1), widths=(8,)).eval()(pictures(2, 3, 1)).shape == (2, 8)

    def test_other_sizes_than_its_own_pass_too(self):
        encoder = SmallConv(form.image(3, 32), (8, 8), (1, 1)).eval()
        assert encoder(pictures(2, 3, 16)).shape == encoder(pictures(2, 3, 48)).shape == (2, 8)

    def test_parameters_counted_by_hand(self):
        """Size 16: a 3 x 3 layer, a residual pair, a 2 x 2 layer, a residual pair; two numbers per channel for each normalisation."""
        expected = (3 * 9 * 4 + 8) + 2 * (4 * 9 * 4 + 8) + (4 * 4 * 6 + 12) + 2 * (6 * 9 * 6 + 12)
        assert sum(p.numel() for p in SmallConv(form.image(3, 16), (4, 6), (1, 1)).parameters()) == expected

    def test_a_gradient_reaches_every_weight(self):
        encoder = SmallConv(form.image(3, 16), (4, 6), (1, 2))
        encoder(pictures(4, 3, 16)).pow(2).sum().backward()
        assert all(p.grad is not None and bool((p.grad != 0).any()) for p in encoder.parameters())


class TestSmallViT:
    @pytest.mark.parametrize(("size", "side"), [(8, 8), (9, 5), (20, 7), (28, 7), (32, 8), (64, 8)])
    @pytest.mark.parametrize("channels", [1, 3, 4])
    def test_shapes(self, size, side, channels):
        encoder = SmallViT(form.image(channels, size), width=24, depth=2, heads=2)
        x = pictures(2, channels, size)
        tokens = encoder.tokens(x)
        assert tokens.shape == (2, side**2, 24)
        assert encoder.dense(x).shape == (2, side**2, 24)
        assert encoder(x).shape == (2, encoder.dim) == (2, 24)
        assert encoder.has_tokens
        torch.testing.assert_close(encoder.dense(x).mean(1), encoder(x))
        torch.testing.assert_close(encoder.blocks(tokens), encoder.dense(x))
        assert encoder.blocks(tokens[:, ::3]).shape == tokens[:, ::3].shape

    def test_a_part_of_the_tokens_in_another_order_means_the_same(self):
        encoder = SmallViT(form.image(3, 16), width=24, depth=2, heads=2)
        tokens = encoder.tokens(pictures(2, 3, 16))
        order = torch.randperm(tokens.shape[1])[:20]
        torch.testing.assert_close(
            encoder.blocks(tokens[:, order.sort().values])[:, order.argsort().argsort()], encoder.blocks(tokens[:, order])
        )

    def test_patches_are_the_pixels_in_the_order_of_reading(self):
        encoder = SmallViT(form.image(2, 8), patch=4, width=8, depth=1, heads=1)
        x = pictures(3, 2, 8)
        patches = encoder.patches(x)
        assert torch.equal(patches[:, 1], x[:, :, :4, 4:].flatten(1))
        assert torch.equal(patches[:, 2], x[:, :, 4:, :4].flatten(1))

    def test_the_margin_of_the_last_patches_is_grey(self):
        encoder = SmallViT(form.image(1, 5), patch=3, width=8, depth=1, heads=1)
        x = pictures(1, 1, 5)
        last = encoder.patches(x)[0, 3].view(3, 3)
        assert torch.equal(last[:2, :2], x[0, 0, 3:, 3:])
        assert float(last[2].abs().max()) == float(last[:, 2].abs().max()) == 0

    def test_smaller_and_larger_views_have_fewer_and_more_tokens_over_the_same_span(self):
        encoder = SmallViT(form.image(3, 32), width=24, depth=1, heads=2)
        with torch.no_grad():
            encoder.patch_embedding.weight.zero_()
            encoder.patch_embedding.bias.zero_()
        own, half, double = (encoder.tokens(pictures(1, 3, size))[0] for size in (32, 16, 64))
        assert (len(own), len(half), len(double)) == (64, 16, 256)
        middle = own.view(8, 8, 24)[::2, ::2]
        assert float((half.view(4, 4, 24) - middle).abs().mean()) < float(
            (half.view(4, 4, 24) - own.view(8, 8, 24)[:4, :4]).abs().mean()
        )
        assert encoder(pictures(2, 3, 16)).shape == (2, 24)

    def test_parameters_counted_by_hand(self):
        d, patch = 12, 3 * 2 * 2
        block = 2 * 2 * d + (3 * d * d + 3 * d) + (d * d + d) + (4 * d * d + 4 * d) + (4 * d * d + d)
        encoder = SmallViT(form.image(3, 16), width=d, depth=3, heads=2)
        assert sum(p.numel() for p in encoder.parameters()) == patch * d + d + 3 * block + 2 * d
        assert "position" not in encoder.state_dict()
