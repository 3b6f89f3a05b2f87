"""What is of recurrent encoders alone; what holds for every encoder of recordings is in test_speech.py."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.data import form
from ipse.models.mel import Mel
from ipse.models.recurrent import MelGRU, WaveLSTM

FORM = form.audio(8000)


def gru() -> MelGRU:
    torch.manual_seed(0)
    return MelGRU(FORM, n_mels=40, width=24, depth=2).eval()


def lstm() -> WaveLSTM:
    torch.manual_seed(0)
    return WaveLSTM(FORM, conv=8, width=12)


def waves(n: int, samples: int) -> Tensor:
    return 0.1 * torch.randn(n, samples, generator=torch.Generator().manual_seed(samples))


class TestMelGRU:
    @torch.no_grad()
    def test_no_frame_sees_those_behind_it(self) -> None:
        encoder, x = gru(), waves(1, 6000)
        other = x.clone()
        other[:, 400 + 160 * 10 :] = waves(1, 4000)
        a, b = encoder.dense(x)[0], encoder.dense(other)[0]
        assert torch.equal(a[:11], b[:11])
        assert float((a[11:] - b[11:]).abs().amin(dim=1).max()) > 0

    @torch.no_grad()
    def test_each_layer_is_added_to_what_it_is_given(self) -> None:
        encoder, x = gru(), waves(2, 3000)
        frames, valid = encoder.frames(x)
        mel, there = Mel(40)(x)
        assert torch.equal(frames, mel.transpose(1, 2))
        assert torch.equal(valid, there)
        first, second = encoder.layers(x)
        torch.testing.assert_close(first, encoder.recurrent[0](frames)[0])
        torch.testing.assert_close(second, encoder.recurrent[1](first)[0] + first)


class TestWaveLSTM:
    @pytest.mark.parametrize("n", [8_000, 465, 1, 7_999])
    def test_shapes(self, n: int) -> None:
        model, x = lstm(), waves(2, n)
        frames, valid = model.frames(x)
        assert frames.shape == (2, max(0, n - 465) // 160 + 1, 8)
        assert model(x).shape == (2, 12)
        assert model.dense(x).shape == (*frames.shape[:2], 12)
        assert torch.equal(valid, model.valid(x))
        assert len(model.layers(x)) == 2

    def test_no_frame_sees_the_future(self) -> None:
        model, x = lstm(), waves(2, 8_000)
        x = x - x.mean(dim=1, keepdim=True)
        changed = x.clone()
        changed[:, 4_000:6_000] = changed[:, 4_000:6_000].flip(1)  # the mean stays
        before, after = model.dense(x), model.dense(changed)
        last = (4_000 - 465) // 160  # the last frame that ends before
        torch.testing.assert_close(after[:, : last + 1], before[:, : last + 1], atol=1e-5, rtol=1e-4)
        assert not torch.allclose(after[:, last + 1 :], before[:, last + 1 :], atol=1e-4)

    def test_what_is_behind_the_end_changes_nothing(self) -> None:
        model, x = lstm(), waves(2, 6_000)
        padded = torch.cat([x, torch.full((2, 2_000), torch.nan)], dim=1)
        short, long = model.dense(x), model.dense(padded)
        torch.testing.assert_close(long[:, : short.shape[1]], short)
        assert not long[:, short.shape[1] :].any()
        torch.testing.assert_close(model(padded), model(x))
