from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses import masked_series_mse
from ipse.models.patch_transformer import PatchTransformer
from ipse.models.revin import normalise

KINDS: list[dict[str, Any]] = [
    {},
    {"stride": 4},
    {"norm": "layer"},
    {"residual_attention": True},
    {"revin": False},
    {"mix": True},
    {"pool": "cls"},
    {"pool": "last"},
    {"class_patch": True},
]
each = pytest.mark.parametrize("options", KINDS, ids=str)


def encoder(channels: int = 3, length: int = 64, **options: Any) -> PatchTransformer:
    torch.manual_seed(0)
    form = {"modality": "series", "channels": channels, "length": length}
    return PatchTransformer(form, **{"patch": 8, "width": 16, "depth": 2, "heads": 4, **options}).eval()


def series(batch: int = 4, channels: int = 3, length: int = 64) -> Tensor:
    return torch.randn(batch, channels, length, generator=torch.Generator().manual_seed(0))


class TestShapes:
    @each
    def test_of_everything(self, options: dict[str, Any]) -> None:
        model, x = encoder(**options), series()
        n = (16 if "stride" in options else 8) * (1 if model.mix else 3)
        assert model.patches(x).shape == (4, n, 24 if model.mix else 8)
        assert model.tokens(x).shape == model.dense(x).shape == (4, n, 16)
        assert model(x).shape == (4, model.dim) == (4, 16)
        torch.testing.assert_close(model.blocks(model.tokens(x)), model.dense(x))
        if model.pool == "gap":
            torch.testing.assert_close(model(x), model.dense(x).mean(1))
        assert model.has_tokens

    @pytest.mark.parametrize(("length", "patch", "stride", "n"), [(512, 16, 8, 64), (336, 16, 8, 42), (512, 12, 12, 43)])
    def test_as_many_patches_as_in_the_paper(self, length: int, patch: int, stride: int, n: int) -> None:
        """But that the paper drops the steps that do not fill one more patch: 42 of 12 steps in 512."""
        model = encoder(1, length, patch=patch, stride=stride)
        assert model.count == n
        assert model.patches(series(1, 1, length)).shape == (1, n, patch)

    @pytest.mark.parametrize(("length", "patch"), [(1, 1), (7, 1), (24, 3), (100, 13), (128, 16), (1000, 16)])
    def test_patches_suit_the_length(self, length: int, patch: int) -> None:
        model = PatchTransformer({"modality": "series", "channels": 2, "length": length}).eval()
        assert model.patch == model.stride == patch
        assert model(series(2, 2, length)).isfinite().all()

    def test_patches_hold_the_normalised_values_in_order(self) -> None:
        model, x = encoder(2, 20), series(2, 2, 20)
        patches, y = model.patches(x), normalise(x)[0]
        assert patches.shape == (2, 6, 8)
        torch.testing.assert_close(patches[:, 4], y[:, 1, 8:16])
        torch.testing.assert_close(patches[:, 5, :4], y[:, 1, 16:])
        assert patches[:, 5, 4:].isnan().all()

    @each
    def test_its_options_build_it_again(self, options: dict[str, Any]) -> None:
        model = encoder(**options)
        again = PatchTransformer(model.form, **model.options()).eval()
        again.load_state_dict(model.state_dict())
        assert again.options() == model.options()
        torch.testing.assert_close(again(series()), model(series()))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"stride": 9}, "stride 9 exceeds patch 8"),
            ({"heads": 3}, "width of 16 among 3 heads"),
            ({"norm": "group"}, "'batch' or 'layer', not 'group'"),
            ({"pool": "max"}, "'gap', 'cls', 'last', 'all', not 'max'"),
        ],
    )
    def test_mistakes(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(UserError, match=message):
            encoder(**options)

    def test_series_of_other_lengths(self) -> None:
        model = encoder()
        assert model(series(length=30)).shape == (4, 16)
        with pytest.raises(UserError, match="made for 8 patches of 8 steps, given 9: cut the series to 64 steps"):
            model(series(length=65))


class TestChannels:
    def test_permuted_channels_permute_the_places(self) -> None:
        model, x = encoder(), series()
        order = [2, 0, 1]
        places = model.dense(x).unflatten(1, (3, 8))
        torch.testing.assert_close(model.dense(x[:, order]).unflatten(1, (3, 8)), places[:, order])
        torch.testing.assert_close(model(x[:, order]), model(x))

    @pytest.mark.parametrize("residual", [False, True])
    def test_a_channel_does_not_see_the_others(self, residual: bool) -> None:
        model, x = encoder(residual_attention=residual), series()
        changed = x.clone()
        changed[:, 1:] = torch.randn(4, 2, 64)
        torch.testing.assert_close(model.dense(changed)[:, :8], model.dense(x)[:, :8])

    def test_channel_by_channel_is_the_same(self) -> None:
        model, x = encoder(), series()
        alone = model.dense(x.flatten(0, 1)[:, None])
        torch.testing.assert_close(alone.reshape(4, 24, 16), model.dense(x))

    def test_mixed_channels_see_each_other(self) -> None:
        model, x = encoder(mix=True), series()
        changed = x.clone()
        changed[:, 2] = torch.randn(4, 64)
        assert not torch.allclose(model.dense(changed)[:, 0], model.dense(x)[:, 0])

    def test_scale_and_shift_are_forgotten(self) -> None:
        model, x = encoder(), series()
        torch.testing.assert_close(model(5 * x - 7), model(x), rtol=1e-3, atol=1e-3)


class TestPools:
    def test_last_and_all_patches(self) -> None:
        x = series()
        x[0, :, 40:] = torch.nan
        last, everything = encoder(pool="last"), encoder(pool="all")
        places = last.dense(x).unflatten(1, (3, 8))
        torch.testing.assert_close(last(x)[1:], places[1:, :, 7].mean(1))
        torch.testing.assert_close(last(x)[0], places[0, :, 4].mean(0))
        assert everything.dim == 128
        torch.testing.assert_close(everything(x), places.mean(1).flatten(1))
        assert everything(x[..., :30]).shape == (4, 128)

    @pytest.mark.parametrize("mix", [False, True])
    def test_a_class_patch_sees_the_patches_and_they_see_it(self, mix: bool) -> None:
        model, x = encoder(pool="cls", mix=mix, depth=1), series()
        whole = model.encoded(x).whole
        assert whole.shape == (4, 1 if mix else 3, 16)
        torch.testing.assert_close(model(x), whole.mean(1))
        changed = x.clone()
        changed[:, 0] = torch.randn(4, 64)
        moved = (model.encoded(changed).whole - whole).abs().amax(-1) > 1e-4
        assert moved[:, 0].all()
        assert not moved[:, 1:].any()
        places = model.dense(x)
        torch.testing.assert_close(model.blocks(model.tokens(x)), places)
        with torch.no_grad():
            assert model.class_patch is not None
            model.class_patch.add_(1.0)
        assert not torch.allclose(model.dense(x), places)

    def test_a_channel_of_which_nothing_is_known_has_no_part_in_it(self) -> None:
        model, x = encoder(pool="cls"), series()
        x[:, 2] = x[3] = torch.nan
        torch.testing.assert_close(model(x), model(x[:, :2]))
        assert not model(x)[3].any()
        assert model.encoded(x).known.tolist() == [[True, True, False]] * 3 + [[False] * 3]

    def test_another_pool_later(self) -> None:
        model, x = encoder(), series()
        before = model(x)
        with pytest.raises(UserError, match="pools 'cls' only with class_patch=True"):
            model.pool_by("cls")
        model.add_class_patch()
        model.pool_by("cls")
        again = PatchTransformer(model.form, **model.options()).eval()
        again.load_state_dict(model.state_dict())
        torch.testing.assert_close(again(x), model(x))
        assert not torch.allclose(model(x), before)


class TestTokensLeftOutOrAdded:
    def test_as_many_of_each_channel(self) -> None:
        """With `channels` the rest of a channel does not see the rest of the others."""
        model, x = encoder(), series()
        kept = torch.tensor([0, 3, 5, 8, 9, 15, 17, 18, 20])
        h = model.blocks(model.tokens(x)[:, kept], channels=3)
        changed = x.clone()
        changed[:, 1:] = torch.randn(4, 2, 64)
        torch.testing.assert_close(model.blocks(model.tokens(changed)[:, kept], channels=3)[:, :3], h[:, :3])

    def test_any_number(self) -> None:
        model, x = encoder(), series()
        for n in (1, 5, 12, 23):
            assert model.blocks(model.tokens(x)[:, :n]).shape == (4, n, 16)
        with pytest.raises(UserError, match="cannot share 5 tokens among 3 channels"):
            model.blocks(model.tokens(x)[:, :5], channels=3)

    def test_a_token_put_before_each_channel(self) -> None:
        model, x = encoder(), series()
        tokens = torch.cat([torch.ones(4, 3, 1, 16), model.tokens(x).unflatten(1, (3, 8))], 2).flatten(1, 2)
        assert model.blocks(tokens, channels=3).shape == (4, 27, 16)

    def test_hidden_patches_are_filled_in_from_the_others(self) -> None:
        """Masked modelling by hand: hidden patches set to 0, embedded, and only they get a gradient."""
        model, x = encoder().train(), series()
        patches, head = model.patches(x), torch.nn.Linear(16, 8)
        mask = torch.rand(4, 24) < 0.4
        prediction = head(model.blocks(model.embed(patches.masked_fill(mask[..., None], 0))))
        prediction.retain_grad()
        masked_series_mse(prediction, patches, mask[..., None]).backward()
        assert prediction.grad is not None
        assert not prediction.grad[~mask].any()
        assert prediction.grad[mask].all()


class TestMissing:
    @each
    @pytest.mark.parametrize("known", [40, 37, 3])
    def test_padding_changes_nothing(self, options: dict[str, Any], known: int) -> None:
        model, x = encoder(**options), series()
        x[..., known:] = torch.nan
        torch.testing.assert_close(model(x), model(x[..., :known]))
        torch.testing.assert_close(model(torch.cat([x, series()]))[:4], model(x))

    @each
    def test_padding_changes_nothing_in_training_either(self, options: dict[str, Any]) -> None:
        x = series()
        x[..., 37:] = torch.nan
        padded, cut = encoder(**options).train(), encoder(**options).train()
        torch.testing.assert_close(padded(x), cut(x[..., :37]))
        for (name, a), b in zip(padded.named_buffers(), cut.buffers(), strict=True):
            torch.testing.assert_close(a, b, msg=name)

    @each
    def test_nothing_known_of_a_patch_of_a_channel_or_at_all(self, options: dict[str, Any]) -> None:
        model, x = encoder(**options).train(), series()
        x[0, 0, 8:16] = x[1, 1] = x[2] = x[3, :, 5] = torch.nan
        h, dense = model(x), model.dense(x)
        assert h.isfinite().all()
        assert dense.isfinite().all()
        assert not h[2].any()
        assert not dense[2].any()
        assert bool(model.tokens(x)[2].isnan().all())
        torch.testing.assert_close(model.eval().blocks(model.tokens(x)), model.dense(x))
        h.square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name

    def test_a_broken_weight_is_not_taken_for_a_missing_value(self) -> None:
        model = encoder()
        with torch.no_grad():
            model.patch_embedding.weight[0, 0] = torch.nan
        assert model(series()).isnan().any()

    @each
    def test_half_precision(self, options: dict[str, Any]) -> None:
        model, x = encoder(**options).train(), series()
        x[0, :, 20:] = x[1] = torch.nan
        with torch.autocast("cpu", torch.bfloat16):
            h = model(x)
            assert h.isfinite().all()
            h.square().sum().backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def _half(number: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=number, world_size=2)
    torch.save(_learned(_gappy().chunk(2)[number]), folder / f"{number}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def _gappy() -> Tensor:
    """More is known of the first half of the batch than of the second."""
    x = series(4)
    x[2:, :, 20:] = x[1, 0] = torch.nan
    return x


def _learned(x: Tensor) -> dict[str, Tensor]:
    model = encoder().train()
    h = model(x)
    h.square().mean().backward()
    return {
        "h": h.detach(),
        **{n: p.grad for n, p in model.named_parameters() if p.grad is not None},
        **dict(model.named_buffers()),
    }


def test_two_processes_with_unequally_much_to_learn_from_equal_one(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_half, args=(number, tmp_path), daemon=True) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    first, second = (torch.load(tmp_path / f"{number}.pt") for number in range(2))
    for name, expected in _learned(_gappy()).items():
        both = torch.cat([first[name], second[name]]) if name == "h" else (first[name].float() + second[name]) / 2
        torch.testing.assert_close(both, expected.float(), rtol=1e-4, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}")
