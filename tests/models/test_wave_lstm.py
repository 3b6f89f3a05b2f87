from __future__ import annotations

import pytest
import torch

from ipse.models.wave_lstm import WaveLSTM

AUDIO = {"modality": "audio", "rate": 16_000, "samples": 8_000}


def encoder() -> WaveLSTM:
    torch.manual_seed(0)
    return WaveLSTM(AUDIO, conv=8, width=12)


def noise(b: int = 2, n: int = 8_000) -> torch.Tensor:
    return 0.1 * torch.randn(b, n, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n", [8_000, 465, 1, 7_999])
def test_shapes(n: int) -> None:
    model, x = encoder(), noise(n=n)
    frames, valid = model.frames(x)
    assert frames.shape == (2, max(0, n - 465) // 160 + 1, 8)
    assert model(x).shape == (2, 12)
    assert model.dense(x).shape == (*frames.shape[:2], 12)
    assert torch.equal(valid, model.valid(x))
    assert len(model.layers(x)) == 2


def test_no_frame_sees_the_future() -> None:
    model, x = encoder(), noise()
    x = x - x.mean(dim=1, keepdim=True)
    changed = x.clone()
    changed[:, 4_000:6_000] = changed[:, 4_000:6_000].flip(1)  # the mean stays
    before, after = model.dense(x), model.dense(changed)
    last = (4_000 - 465) // 160  # the last frame that ends before
    torch.testing.assert_close(after[:, : last + 1], before[:, : last + 1], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(after[:, last + 1 :], before[:, last + 1 :], atol=1e-4)


def test_what_is_behind_the_end_changes_nothing() -> None:
    model, x = encoder(), noise(n=6_000)
    padded = torch.cat([x, torch.full((2, 2_000), torch.nan)], dim=1)
    short, long = model.dense(x), model.dense(padded)
    torch.testing.assert_close(long[:, : short.shape[1]], short)
    assert not long[:, short.shape[1] :].any()
    torch.testing.assert_close(model(padded), model(x))


def test_a_clip_without_sound() -> None:
    assert not encoder()(torch.full((1, 4_000), torch.nan)).any()


def test_options_build_it_again() -> None:
    model = encoder()
    again = WaveLSTM(AUDIO, **model.options())
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(noise()), model(noise()))
