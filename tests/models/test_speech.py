from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ipse.data import form
from ipse.errors import UserError
from ipse.models.recurrent import MelGRU, WaveLSTM
from ipse.models.speech import (
    ClipNorm,
    FrameEncoder,
    MelConv,
    MelTransformer,
    TokenEncoder,
    WaveTransformer,
)

FORM = form.audio(8000)
SMALL: dict[type[FrameEncoder], dict[str, Any]] = {
    WaveTransformer: {"conv": 16, "width": 32, "depth": 2, "heads": 2, "reach": 8},
    MelTransformer: {"n_mels": 40, "width": 32, "depth": 2, "heads": 2},
    MelConv: {"widths": (4, 8, 16), "n_mels": 32, "dim": 24},
    MelGRU: {"n_mels": 40, "width": 24, "depth": 2},
    WaveLSTM: {"conv": 8, "width": 12},
}
TRANSFORMERS = [
    (WaveTransformer, {}),
    (WaveTransformer, {"reach": 0}),
    (MelTransformer, {}),
    (MelTransformer, {"reach": 7, "standardize": True}),
]
ALL = [*TRANSFORMERS, (MelConv, {}), (MelConv, {"standardize": True}), (MelGRU, {}), (WaveLSTM, {})]


def waves(n: int, samples: int) -> Tensor:
    return 0.1 * torch.randn(n, samples, generator=torch.Generator().manual_seed(samples))


def made(cls: type[FrameEncoder], **options: Any) -> Any:
    torch.manual_seed(0)
    return cls(FORM, **{**SMALL[cls], **options}).eval()


def padded(x: Tensor, more: int) -> Tensor:
    return torch.cat([x, torch.full((len(x), more), torch.nan)], dim=1)


@pytest.mark.parametrize(("cls", "options"), ALL)
class TestEveryEncoder:
    @torch.no_grad()
    def test_padding_changes_nothing(self, cls, options):
        encoder, x = made(cls, **options), waves(3, 6123)
        short, long = encoder.dense(x), encoder.dense(padded(x, 3001))
        n = short.shape[1]
        torch.testing.assert_close(long[:, :n], short, atol=1e-4, rtol=1e-4)
        assert float(long[:, n:].abs().max()) == 0
        torch.testing.assert_close(encoder(padded(x, 3001)), encoder(x), atol=1e-4, rtol=1e-4)

    @torch.no_grad()
    def test_each_clip_of_a_batch_is_as_alone(self, cls, options):
        encoder, x = made(cls, **options), waves(4, 7000)
        for i, n in enumerate((7000, 5000, 900, 30)):
            x[i, n:] = torch.nan
        together = encoder(x)
        for i, n in enumerate((7000, 5000, 900, 30)):
            torch.testing.assert_close(encoder(x[i : i + 1, :n])[0], together[i], atol=1e-4, rtol=1e-4)

    @torch.no_grad()
    @pytest.mark.parametrize("samples", [1, 399, 400, 464, 465, 719, 720, 5000, 12000])
    def test_frames(self, cls, options, samples):
        encoder, x = made(cls, **options), waves(2, samples)
        n = max(0, (samples - encoder.window) // encoder.stride) + 1
        assert encoder.dense(x).shape[:2] == encoder.valid(x).shape == (2, n)
        assert encoder(x).shape == (2, encoder.dim)
        assert all(h.shape == encoder.dense(x).shape for h in encoder.layers(x))
        torch.testing.assert_close(encoder.layers(x)[-1], encoder.dense(x))

    @torch.no_grad()
    def test_a_clip_of_nothing_is_the_same_number_everywhere(self, cls, options):
        x = waves(2, 3000)
        x[0] = torch.nan
        assert bool((made(cls, **options)(x)[0] == 0).all())

    def test_a_gradient_reaches_every_weight(self, cls, options):
        encoder = made(cls, **options).train()
        encoder(padded(waves(4, 6000), 500)).pow(2).sum().backward()
        for name, p in encoder.named_parameters():
            assert p.grad is not None, name
            assert bool(p.grad.isfinite().all()), name
            assert bool((p.grad != 0).any()), name

    @torch.no_grad()
    def test_options_build_it_again(self, cls, options):
        encoder = made(cls, **options)
        again = cls(FORM, **json.loads(json.dumps(encoder.options()))).eval()
        again.load_state_dict(encoder.state_dict())
        assert torch.equal(again(waves(2, 3000)), encoder(waves(2, 3000)))

    def test_half_precision(self, cls, options):
        encoder, x = made(cls, **options), padded(waves(2, 4000), 300)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            low = encoder(x).float()
        with torch.no_grad():
            assert float((low - encoder(x)).abs().max()) < 0.1 * float(encoder(x).abs().max()) + 0.02


@pytest.mark.parametrize(("cls", "options"), TRANSFORMERS)
class TestEveryTransformer:
    @torch.no_grad()
    def test_tokens_are_nan_behind_the_sound_and_blocks_make_dense_of_them(self, cls, options):
        encoder: TokenEncoder = made(cls, **options)
        x = waves(2, 6000)
        x[0, 3000:] = torch.nan
        tokens = encoder.tokens(x)
        assert torch.equal(tokens.isnan().all(dim=-1), ~encoder.valid(x))
        torch.testing.assert_close(encoder.blocks(tokens), encoder.dense(x))
        frames, valid = encoder.frames(x)
        assert torch.equal(valid, encoder.valid(x))
        torch.testing.assert_close(encoder.blocks(encoder.positioned(frames, valid), valid), encoder.dense(x))

    @torch.no_grad()
    def test_tokens_may_be_left_out_and_put_in_another_order(self, cls, options):
        encoder: TokenEncoder = made(cls, **options)
        tokens = encoder.tokens(waves(2, 6000))
        some = torch.tensor([3, 0, 7, 12])
        kept = encoder.blocks(tokens[:, some])
        torch.testing.assert_close(encoder.blocks(tokens[:, some.flip(0)]).flip(1), kept)
        out = torch.ones(2, tokens.shape[1], dtype=torch.bool)
        out[:, some] = False
        torch.testing.assert_close(encoder.blocks(tokens.masked_fill(out[..., None], torch.nan))[:, some], kept)

    @torch.no_grad()
    def test_layers_are_what_comes_out_of_each_block(self, cls, options):
        encoder: Any = made(cls, **options)
        x = waves(2, 5000)
        states, added = encoder.layers(x), encoder.passed(encoder.tokens(x)).perceptrons
        assert (len(states), len(added)) == (3, 2)
        torch.testing.assert_close(states[0], encoder.tokens(x))
        h = states[0]
        for block, state, mlp in zip(encoder.stack, states[1:], added, strict=True):
            plain = block(h)
            last = state is states[-1]
            torch.testing.assert_close(encoder.norm(plain) if last else plain, state)
            torch.testing.assert_close(block.down(F.gelu(block.up(block.norm2(plain - mlp)))), mlp)
            h = plain

    @torch.no_grad()
    def test_patches_are_the_log_mel_frames_of_each_token(self, cls, options):
        encoder: TokenEncoder = made(cls, **options)
        x = waves(2, 6000)
        x[0, 3100:] = torch.nan
        patches, (mel, valid) = encoder.patches(x), encoder.mel(x)
        assert patches.shape == (2, encoder.valid(x).shape[1], 2 * encoder.mel.n_mels)
        torch.testing.assert_close(patches[1, 3], torch.cat([mel[1, :, 6], mel[1, :, 7]]))
        assert torch.equal((~patches.isnan()).sum(dim=(1, 2)), valid.sum(dim=1) * encoder.mel.n_mels)

    def test_has_tokens(self, cls, options):
        assert made(cls, **options).has_tokens


class TestWaveTransformer:
    def test_frame_count_of_hubert(self):
        encoder = made(WaveTransformer)
        for n in (400, 719, 720, 16000, 15999):
            assert encoder.features(waves(1, n))[0].shape[1] == (n - 400) // 320 + 1

    def test_parameters_of_the_base_size(self):
        """wav2vec 2.0 Base has 94.37 M with the learned mask; its positions count one more number per kernel place."""
        with torch.device("meta"):
            encoder = WaveTransformer(FORM, conv=512, width=768, depth=12, heads=12, reach=128)
        assert sum(p.numel() for p in encoder.parameters()) == 94_371_712 - 768 - 128

    @torch.no_grad()
    def test_loudness_and_offset_do_not_matter(self):
        encoder, x = made(WaveTransformer), waves(2, 4000)
        torch.testing.assert_close(encoder(5 * x), encoder(x), atol=1e-2, rtol=1e-2)
        torch.testing.assert_close(encoder(x + 0.3), encoder(x), atol=1e-4, rtol=1e-4)

    def test_widths_that_cannot_be_shared(self):
        with pytest.raises(UserError, match="wave_transformer cannot share a width of 30 among 4 heads"):
            WaveTransformer(FORM, width=30)
        with pytest.raises(UserError, match="cannot share a width of 36 among the 16 groups"):
            WaveTransformer(FORM, width=36)

    def test_the_norm_is_torchs_over_the_sound(self):
        norm, x = ClipNorm(6, 6), torch.randn(2, 6, 50)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        valid = torch.arange(50) < torch.tensor([[50], [20]])
        y = norm(x, valid)
        for i, n in enumerate((50, 20)):
            expected = F.group_norm(x[i : i + 1, :, :n], 6, norm.weight, norm.bias)
            torch.testing.assert_close(y[i : i + 1, :, :n], expected, atol=1e-5, rtol=1e-5)

    @torch.no_grad()
    def test_positions_are_convolved_over_what_is_known(self):
        encoder = made(WaveTransformer)
        frames, valid = torch.randn(1, 9, 32), torch.arange(9)[None] < 7
        kernel, bias = encoder.position.weight.numpy(), encoder.position.bias.numpy()
        known = np.where(valid.numpy()[0, :, None], frames[0].numpy(), 0)
        padded_ = np.pad(known, ((4, 3), (0, 0)))
        place = np.stack(
            [
                [(padded_[t : t + 8, 2 * (c // 2) : 2 * (c // 2) + 2] * kernel[c].T).sum() + bias[c] for c in range(32)]
                for t in range(9)
            ]
        )
        expected = frames[0] + F.gelu(torch.from_numpy(place).float())
        torch.testing.assert_close(encoder.positioned(frames, valid)[0], expected, atol=1e-5, rtol=1e-5)


class TestMelConv:
    def test_mels_that_do_not_halve(self):
        with pytest.raises(UserError, match="mel_conv with 3 stages needs a multiple of 16 mels, not 40"):
            MelConv(FORM, n_mels=40)

    def test_it_has_no_tokens(self):
        with pytest.raises(UserError, match="'mel_conv' has no tokens"):
            made(MelConv).tokens(waves(1, 1000))
