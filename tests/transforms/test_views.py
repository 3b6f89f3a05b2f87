from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ipse.transforms import (
    Look,
    Masked,
    MultiCrop,
    Original,
    Sees,
    TwoViews,
    View,
    Views,
    WeakStrong,
)
from ipse.transforms.image import ImagePolicy, make_view, original

EVERYTHING = ImagePolicy(rotation=15.0, flip_vertical=0.2, solarize=0.2, noise=0.05, cutout=0.5, blur=0.5)


def picture(n: int, channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(n + channels + height + width)
    return torch.randint(0, 256, (n, channels, height, width), dtype=torch.uint8, generator=generator)


def view_of(look: Look, source: Tensor, size: int, policy: ImagePolicy | None = None, key: int = 0) -> View:
    """What the training loop makes of a look."""
    aspect, side = torch.ones(len(source)), max(1, round(size * look.scale))
    if look.strength == "none":
        return original(source, aspect, side)
    return make_view(source, aspect, (policy or ImagePolicy()).of(look), side, key, torch.arange(len(source)))


class TestEveryKindOfSource:
    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    @pytest.mark.parametrize("size", [8, 32, 96, 224])
    @pytest.mark.parametrize("policy", [ImagePolicy(), EVERYTHING])
    def test_views_are_finite_and_within_black_and_white(self, channels, size, policy):
        view = make_view(picture(3, channels, 40, 56), torch.tensor([1.0, 0.3, 4.0]), policy, size, 5, torch.arange(3))
        assert view.x.shape == (3, channels, size, size)
        assert view.x.dtype == torch.float32
        assert view.x.is_contiguous()
        assert view.matrix.shape == (3, 2, 3)
        assert view.colour.shape == (3, channels, channels + 1)
        assert bool(view.x.isfinite().all())
        assert float(view.x.abs().max()) <= 1

    @pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (9, 1)])
    @pytest.mark.parametrize("policy", [ImagePolicy(), EVERYTHING])
    def test_tiny_sources(self, shape, policy):
        source = picture(4, 3, *shape)
        view = make_view(source, torch.ones(4), policy, 8, 0, torch.arange(4))
        assert bool(view.x.isfinite().all())
        plain = replace(policy, jitter=0.0, grey=0.0, solarize=0.0, noise=0.0, cutout=0.0)
        x = (make_view(source, torch.ones(4), plain, 8, 0, torch.arange(4)).x + 1) * 127.5
        low, high = source.amin((2, 3)).float(), source.amax((2, 3)).float()
        assert bool((x >= low[:, :, None, None] - 0.01).all())
        assert bool((x <= high[:, :, None, None] + 0.01).all())
        if shape == (1, 1):
            assert float((x - source).abs().max()) < 0.01
            assert float(((original(source, torch.ones(4), 8).x + 1) * 127.5 - source).abs().max()) < 0.01

    def test_no_picture_at_all(self):
        view = make_view(picture(4, 3, 9, 9)[:0], torch.ones(0), ImagePolicy(), 8, 0, torch.arange(0))
        assert (view.x.shape, view.matrix.shape, view.colour.shape) == ((0, 3, 8, 8), (0, 2, 3), (0, 3, 4))

    def test_the_source_stays_as_it_is(self):
        source = picture(4, 3, 16, 16)
        before = source.clone()
        for policy in (ImagePolicy(), EVERYTHING):
            make_view(source, torch.ones(4), policy, 16, 0, torch.arange(4))
        original(source, torch.ones(4), 16)
        assert torch.equal(source, before)


class TestWhereTheBatchIsCut:
    """Views depend on (seed, position), not on who makes them."""

    @pytest.mark.parametrize(("size", "side"), [(8, 8), (28, 32), (32, 48), (96, 112)])
    @pytest.mark.parametrize("policy", [ImagePolicy(), EVERYTHING])
    @pytest.mark.parametrize("parts", [[16, 16], [1, 31], [5, 11, 16], [1] * 32])
    def test_parts_of_a_batch_are_the_views_of_the_whole(self, size, side, policy, parts):
        source, aspect, position = picture(32, 3, side, side), torch.linspace(0.5, 2, 32), torch.arange(1000, 1032)
        whole = make_view(source, aspect, policy, size, 7, position)
        pieces = zip(source.split(parts), aspect.split(parts), position.split(parts), strict=True)
        views = [make_view(s, a, policy, size, 7, p) for s, a, p in pieces]
        for name in ("x", "matrix", "colour"):
            joined = torch.cat([getattr(v, name) for v in views])
            assert float((joined - getattr(whole, name)).abs().max()) < 1e-5, name

    def test_the_same_again_is_the_same_bit_for_bit(self):
        source, position = picture(16, 3, 32, 32), torch.arange(16)
        a, b = (make_view(source, torch.ones(16), EVERYTHING, 32, 7, position) for _ in range(2))
        assert torch.equal(a.x, b.x)

    def test_keys_and_positions_give_other_views(self):
        source, aspect, position = picture(1, 3, 32, 32).repeat(16, 1, 1, 1), torch.ones(16), torch.arange(16)
        view = make_view(source, aspect, ImagePolicy(), 32, 7, position)
        other = make_view(source, aspect, ImagePolicy(), 32, 8, position)
        assert float((view.x - other.x).abs().mean((1, 2, 3)).min()) > 0.01
        assert float((view.x[1:] - view.x[:-1]).abs().mean((1, 2, 3)).min()) > 0.01

    def test_changing_one_setting_leaves_the_other_draws_alone(self):
        """Settings draw under their own names: with blur, colours or cutout switched off the box and the flips are the same."""
        source, aspect, position = picture(32, 3, 32, 32), torch.ones(32), torch.arange(32)
        full = make_view(source, aspect, ImagePolicy(), 32, 7, position)
        for changes in ({"blur": 0.0}, {"jitter": 0.0}, {"cutout": 1.0}, {"solarize": 1.0}, {"grey": 0.0}):
            assert torch.equal(
                make_view(source, aspect, replace(ImagePolicy(), **changes), 32, 7, position).matrix, full.matrix
            )


class TestSees:
    def test_two_views_are_two_strong_looks(self):
        assert TwoViews() == Views(2) == Sees((Look(), Look()))
        first, second = TwoViews(asymmetric=True).looks
        assert (ImagePolicy().of(first).blur, ImagePolicy().of(first).solarize) == (1.0, 0.0)
        assert (ImagePolicy().of(second).blur, ImagePolicy().of(second).solarize) == (0.1, 0.2)

    def test_multi_crop_is_large_crops_of_much_and_small_ones_of_little(self, patches):
        looks = MultiCrop(2, 6).looks
        sizes = [view_of(look, patches[:4], 32).x.shape[-1] for look in looks]
        assert sizes == [32, 32, 16, 16, 16, 16, 16, 16]
        for look, low, high in ((looks[0], 0.4, 1.0), (looks[-1], 0.05, 0.4)):
            matrix = view_of(look, patches, 4).matrix
            area = (matrix[:, 0, 0] * matrix[:, 1, 1]).abs()
            assert low <= float(area.min()) < low + 0.02
            assert high - 0.05 < float(area.max()) <= high
        assert [look.scale for look in MultiCrop(1, 1, local_scale=0.25).looks] == [1.0, 0.25]

    def test_masked_is_one_view_with_its_colours_left_alone(self, patches):
        (look,) = Masked().looks
        view = view_of(look, patches, 24)
        area = (view.matrix[:, 0, 0] * view.matrix[:, 1, 1]).abs()
        assert 0.2 <= float(area.min()) < 0.25
        assert float((view.colour - torch.eye(3, 4)).abs().max()) < 1e-6

    def test_original_is_the_sample_as_it_is(self, patches):
        (look,) = Original().looks
        assert float((view_of(look, patches, 24).x - (patches / 127.5 - 1)).abs().max()) < 1e-5

    def test_weak_strong_is_a_weak_and_a_strong_look(self, patches):
        weak, strong = (view_of(look, patches, 24) for look in WeakStrong().looks)
        assert weak.x.shape == strong.x.shape
        assert float((weak.colour - torch.eye(3, 4)).abs().max()) < 1e-6
        assert float((strong.colour - torch.eye(3, 4)).abs().amax((1, 2)).median()) > 0.1
