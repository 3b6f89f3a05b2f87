from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.data.form import RATE
from ipse.errors import UserError
from ipse.transforms import Look, MultiCrop, TwoViews, View, WeakStrong
from ipse.transforms.audio import AudioPolicy, AudioViewer, _Bank, _fast, _noises, make_view, original

STILL = AudioPolicy().change({"crop": [1, 1], "gain": [0, 0], "speed": [1, 1]} | dict.fromkeys(("noise", "mix", "reverb"), 0))
STILL = replace(STILL, band_stop=0.0, mask_time=0.0)
EVERYTHING = replace(AudioPolicy(), **dict.fromkeys(("noise", "mix", "reverb", "band_stop", "mask_time"), 0.7))


def clips(n: int, samples: int, loudness: float = 3000.0) -> Tensor:
    generator = torch.Generator().manual_seed(n + samples)
    return (loudness * torch.randn(n, samples, generator=generator)).clamp(-32768, 32767).to(torch.int16)


def whole(x: Tensor) -> dict[str, Tensor]:
    return {"x": x, "length": torch.full((len(x),), x.shape[1])}


def seen(source: Tensor, policy: AudioPolicy, samples: int | None = None, key: int = 1, **bank: Any) -> View:
    raw = whole(source)
    viewer = AudioViewer(policy, samples or source.shape[1], **bank)
    return viewer.view(raw, Look(), key, torch.arange(len(source)))


def power(x: Tensor) -> Tensor:
    return x.square().mean(dim=1)


class TestOriginal:
    def test_numbers_are_shares_of_full_scale_and_nan_behind_the_end(self):
        source = torch.tensor([[16384, -32768, 5, 7], [32767, 8, 9, 10]], dtype=torch.int16)
        view = original(source, torch.tensor([4, 1]), 4)
        assert torch.equal(view.x[0], torch.tensor([0.5, -1, 5 / 32768, 7 / 32768]))
        assert float(view.x[1, 0]) == 32767 / 32768
        assert view.x[1].isnan().tolist() == [False, True, True, True]
        torch.testing.assert_close(view.matrix, torch.tensor([[[1.0, 0.0]]]).expand(2, 1, 2))

    def test_of_longer_clips_it_is_the_middle(self):
        source = torch.arange(10, dtype=torch.int16).expand(2, 10).contiguous()
        view = original(source, torch.tensor([10, 3]), 4)
        assert (view.x[0] * 32768).tolist() == [3, 4, 5, 6]
        assert (view.x[1, :3] * 32768).tolist() == [0, 1, 2]
        assert bool(view.x[1, 3].isnan())

    def test_of_shorter_ones_it_is_all(self):
        view = original(clips(2, 50), torch.tensor([50, 20]), 80)
        assert (~view.x.isnan()).sum(dim=1).tolist() == [50, 20]

    def test_is_what_the_viewer_gives(self):
        raw = whole(clips(3, 500))
        assert torch.equal(AudioViewer(AudioPolicy(), 500).original(raw).x, raw["x"].float() / 32768)


class TestEveryKindOfSource:
    @pytest.mark.parametrize(("width", "samples"), [(1, 1), (1, 700), (300, 300), (4000, 4000), (4000, 1600), (500, 2000)])
    @pytest.mark.parametrize("policy", [AudioPolicy(), AudioPolicy().weak(), EVERYTHING])
    def test_views_are_within_full_scale_and_nan_only_behind_their_end(self, width, samples, policy):
        source, length = clips(9, width, 9000), torch.tensor([0, 1, 2, 3, 4, 5, width, width, width]).clamp(max=width)
        viewer = AudioViewer(policy, samples, {"x": source, "length": length})
        view = viewer.view({"x": source, "length": length}, Look(), 3, torch.arange(9))
        assert view.x.shape == (9, samples)
        assert view.x.dtype == torch.float32
        assert view.matrix.shape == (9, 1, 2)
        known = ~view.x.isnan()
        assert torch.equal(known, torch.arange(samples) < known.sum(dim=1, keepdim=True))
        assert bool(known.any(dim=1)[1:].all())
        assert not bool(known[0].any())
        assert float(view.x.nan_to_num().abs().max()) <= 1

    def test_silence_stays_silent(self):
        view = seen(torch.zeros(8, 2000, dtype=torch.int16), EVERYTHING, bank=whole(torch.zeros(2, 2000, dtype=torch.int16)))
        assert float(view.x.nan_to_num().abs().max()) == 0

    def test_no_clip_at_all(self):
        assert seen(clips(4, 900)[:0], EVERYTHING, 900).x.shape == (0, 900)

    def test_the_source_stays_as_it_is(self):
        source = clips(4, 900)
        before = source.clone()
        seen(source, EVERYTHING, bank=whole(source))
        original(source, torch.full((4,), 900), 900)
        assert torch.equal(source, before)


class TestWhereTheBatchIsCut:
    @pytest.mark.parametrize("parts", [[8, 8], [1, 15], [5, 11], [1] * 16])
    @pytest.mark.parametrize("policy", [AudioPolicy(), AudioPolicy().weak(), EVERYTHING])
    def test_parts_of_a_batch_are_the_views_of_the_whole(self, parts, policy):
        source, length, position = clips(16, 3000), torch.linspace(1000, 3000, 16).long(), torch.arange(500, 516)
        bank = AudioViewer(policy, 3000, whole(clips(3, 2000))).bank
        full = make_view(source, length, policy, 3000, 7, position, bank)
        pieces = zip(source.split(parts), length.split(parts), position.split(parts), strict=True)
        views = [make_view(s, n, policy, 3000, 7, p, bank) for s, n, p in pieces]
        torch.testing.assert_close(torch.cat([v.x for v in views]), full.x, atol=1e-5, rtol=0, equal_nan=True)
        torch.testing.assert_close(torch.cat([v.matrix for v in views]), full.matrix)

    def test_the_same_again_is_the_same_bit_for_bit(self):
        a, b = (seen(clips(8, 3000), EVERYTHING).x for _ in range(2))
        assert torch.equal(a.nan_to_num(2), b.nan_to_num(2))

    def test_keys_and_positions_give_other_views(self):
        source = clips(1, 3000).repeat(8, 1)
        x, other = (seen(source, AudioPolicy(), key=k).x.nan_to_num() for k in (1, 2))
        assert float((x - other).abs().mean(1).min()) > 0.001
        assert float((x[1:] - x[:-1]).abs().mean(1).min()) > 0.001

    def test_changing_one_setting_leaves_the_other_draws_alone(self):
        source = clips(16, 3000)
        full = seen(source, AudioPolicy())
        for changes in ({"noise": 0.0}, {"reverb": 1.0}, {"mask_time": 1.0}, {"band_stop": 0.0}):
            view = seen(source, replace(AudioPolicy(), **changes))
            assert torch.equal(view.matrix, full.matrix)
            assert torch.equal(view.x.isnan(), full.x.isnan())


class TestCropAndSpeed:
    def test_a_weak_view_is_a_part_of_the_clip_at_another_loudness(self):
        source = clips(12, 5000)
        view = seen(source, replace(AudioPolicy().weak(), gain=(0.0, 0.0)))
        for x, clip, (scale, shift) in zip(view.x, source, view.matrix[:, 0].tolist(), strict=True):
            x = x[~x.isnan()]
            assert 0.6 * 5000 - 1 <= len(x) <= 5000
            start = round(((-1 + 1 / 5000) * scale + shift + 1) * 2500 - 0.5)
            assert torch.equal(x, clip[start : start + len(x)].float() / 32768)

    @pytest.mark.parametrize("samples", [4000, 1000])
    def test_the_matrix_tells_what_is_heard_where(self, samples):
        """Of a rising line: what interpolates gives the line itself, where it does not reach over the ends."""
        source = (torch.arange(4000) * 8 - 16000).to(torch.int16).expand(16, 4000).contiguous()
        view = seen(source, replace(STILL, crop=(0.2, 1.0), speed=(0.8, 1.25)), samples)
        place = (2 * torch.arange(samples) + 1) / samples - 1
        index = ((place * view.matrix[:, :, 0] + view.matrix[:, :, 1] + 1) * 4000 - 1) / 2
        expected = (index * 8 - 16000) / 32768
        inside = ~view.x.isnan() & (index > 8) & (index < 3991)
        assert float((view.x - expected)[inside].abs().max()) < 2e-4
        assert bool((index[~view.x.isnan()] <= 3999.01).all())

    def test_speed_moves_pitch(self):
        t = torch.arange(16000) / RATE
        source = (16000 * torch.sin(2 * torch.pi * 1000 * t)).to(torch.int16).expand(8, -1).contiguous()
        view = seen(source, replace(STILL, speed=(0.9, 1.1)), 8000)
        speed = view.matrix[:, 0, 0] * 16000 / 8000
        assert float(speed.max() - speed.min()) > 0.05
        peak = torch.fft.rfft(view.x * torch.hann_window(8000)).abs().argmax(dim=1) * RATE / 8000
        assert float((peak - 1000 * speed).abs().max()) <= 2

    def test_it_is_a_windowed_sinc(self):
        """Six lobes of a sinc under a Hann window, in steps of an eightieth: 1.07 is 86 of them."""
        source = clips(1, 400)
        view = seen(source, replace(STILL, speed=(1.07, 1.07)), 300)
        speed = float(view.matrix[0, 0, 0]) * 400 / 300
        assert speed == pytest.approx(86 / 80)
        start = ((-1 + 1 / 300) * float(view.matrix[0, 0, 0]) + float(view.matrix[0, 0, 1]) + 1) * 200 - 0.5
        assert start == pytest.approx(round(start), abs=1e-4)
        x, cutoff = source[0].numpy().astype(float) / 32768, 1 / speed
        for i in range(300):
            away = cutoff * (np.arange(-20, 420) - (round(start) + speed * i))
            weights = np.where(abs(away) < 6, np.sinc(away) * np.cos(np.pi * away / 12) ** 2, 0)
            expected = weights[20:420] @ x / weights.sum()
            assert float(view.x[0, i]) == pytest.approx(expected, abs=1e-5)

    def test_nothing_above_what_the_view_can_hold_folds_down(self):
        """A tone of 7.9 kHz, heard 1.3 times as fast, would be one of 10.3 kHz, and fold to 5.7."""
        t = torch.arange(16000) / RATE
        source = (16000 * torch.sin(2 * torch.pi * 7900 * t)).to(torch.int16)[None]
        x = seen(source, replace(STILL, speed=(1.3, 1.3)), 8000).x
        assert float(x[:, 100:-100].abs().max()) < 0.005

    @pytest.mark.parametrize("hertz", [200, 2000, 4500])
    def test_a_tone_stays_a_tone(self, hertz):
        t = torch.arange(16000, dtype=torch.float64) / RATE
        source = (16000 * torch.sin(2 * torch.pi * hertz * t)).round().to(torch.int16)[None]
        view = seen(source, replace(STILL, crop=(0.8, 0.8), speed=(0.9, 0.9)), 8000)
        start = round(((-1 + 1 / 8000) * float(view.matrix[0, 0, 0]) + float(view.matrix[0, 0, 1]) + 1) * 8000 - 0.5)
        expected = (
            16000 / 32768 * torch.sin(2 * torch.pi * hertz / RATE * (start + 0.9 * torch.arange(8000, dtype=torch.float64)))
        )
        assert float((view.x[0] - expected)[100:-100].abs().max()) < 2e-3

    def test_short_clips_are_not_cut_below_a_frame(self):
        view = seen(clips(20, 500), replace(STILL, crop=(0.05, 0.1)))
        assert set((~view.x.isnan()).sum(dim=1).tolist()) == {400}


class TestWhatIsAdded:
    def test_gain_is_in_decibels(self):
        source = clips(4, 1000, 500)
        view = seen(source, replace(STILL, gain=(6.0, 6.0)))
        torch.testing.assert_close(view.x, source / 32768 * 10 ** (6 / 20))

    def test_too_loud_is_clipped(self):
        assert float(seen(clips(4, 1000, 20000), replace(STILL, gain=(20.0, 20.0))).x.abs().max()) == 1

    def test_noise_comes_at_its_ratio_and_chance(self):
        source = clips(200, 4000)
        added = seen(source, replace(STILL, noise=0.5, noise_snr=(10.0, 10.0))).x - source / 32768
        noisy = power(added) > 0
        assert 70 < int(noisy.sum()) < 130
        ratio = 10 * torch.log10(power(source / 32768)[noisy] / power(added)[noisy])
        assert float(ratio.median()) == pytest.approx(10, abs=0.5)

    def test_noise_is_white_pink_or_brown(self):
        spectrum = torch.fft.rfft(_noises(4000, torch.device("cpu")).view(3, -1)).abs().square()
        hertz = torch.linspace(0, RATE / 2, spectrum.shape[1])
        octaves = torch.stack([spectrum[:, (hertz >= f) & (hertz < 2 * f)].mean(dim=1) for f in (125, 1000)])
        fall = 10 * torch.log10(octaves[0] / octaves[1]) / 3
        torch.testing.assert_close(fall, torch.tensor([0.0, 3.01, 6.02]), atol=0.3, rtol=0)

    def test_others_are_mixed_in_over_at_most_half_of_the_view(self):
        """UniSpeech-SAT: the power of the whole signals is at the ratio that was drawn."""
        source, bank = clips(100, 3000), torch.full((3, 5000), 1000, dtype=torch.int16)
        bank[:, ::2] = -1000
        added = seen(source, replace(STILL, mix=1.0, mix_snr=(3.0, 3.0)), bank=whole(bank)).x - source / 32768
        heard = added.abs() > 1e-6
        n = heard.sum(dim=1)
        assert 0 <= int(n.min()) < 100
        assert 1400 < int(n.max()) <= 1500
        expected = (power(source / 32768) * 10**-0.3).sqrt()[:, None].expand_as(added)
        torch.testing.assert_close(added.abs()[heard], expected[heard], atol=1e-5, rtol=1e-3)
        first = heard.float().argmax(dim=1)
        assert all(bool(h[f : f + k].all()) for h, f, k in zip(heard, first.tolist(), n.tolist(), strict=True))

    def test_silent_ends_of_others_are_not_borrowed(self):
        bank = {"x": torch.full((1, 3000), 1000, dtype=torch.int16), "length": torch.tensor([200])}
        source = clips(50, 3000)
        added = seen(source, replace(STILL, mix=1.0), bank=bank).x - source / 32768
        assert int((added.abs() > 1e-6).sum(dim=1).max()) == 200

    def test_without_others_there_is_no_mixing(self):
        source = clips(4, 1000)
        torch.testing.assert_close(seen(source, replace(STILL, mix=1.0)).x, source / 32768)


@pytest.mark.parametrize("cut", [1, 3, 16])
def test_a_view_is_the_same_to_the_bit_whatever_it_is_made_with(cut):
    source, length = clips(48, 4000), torch.full((48,), 4000)
    length[5:9] = 2500
    bank = _Bank(clips(8, 3000), torch.full((8,), 3000), 4000)
    position = torch.arange(48)
    whole = make_view(source, length, EVERYTHING, 4000, 7, position, bank).x
    parts = [
        make_view(source[i : i + cut], length[i : i + cut], EVERYTHING, 4000, 7, position[i : i + cut], bank).x
        for i in range(0, 48, cut)
    ]
    assert torch.equal(torch.cat(parts).nan_to_num(9), whole.nan_to_num(9))


class TestWhatIsFiltered:
    def test_rooms_decay_by_60_decibels_and_keep_the_power(self):
        source = torch.zeros(64, 8000, dtype=torch.int16)
        source[:, 0] = 32767
        x = seen(source, replace(STILL, reverb=1.0, rt60=(0.4, 0.4), direct=(6.0, 6.0))).x
        torch.testing.assert_close(x.square().sum(dim=1), torch.ones(64), atol=1e-3, rtol=0)
        direct, echo = x[:, 0].square(), x[:, 1:].square()
        assert float((10 * torch.log10(direct / echo.sum(dim=1))).mean()) == pytest.approx(6, abs=0.2)
        early, late = (echo[:, i : i + 800].sum() for i in (0, 3200))
        assert float(10 * torch.log10(early / late)) == pytest.approx(60 * 0.2 / 0.4, abs=1.5)

    def test_an_echo_is_a_convolution(self):
        """Two impulses give the sum of two responses."""
        one, two = torch.zeros(1, 3000, dtype=torch.int16), torch.zeros(1, 3000, dtype=torch.int16)
        one[:, 0] = two[:, 0] = two[:, 1000] = 8000
        policy = replace(STILL, reverb=1.0)
        h, y = seen(one, policy).x[0], seen(two, policy).x[0]
        sum_ = h + torch.cat([torch.zeros(1000), h[:2000]])
        torch.testing.assert_close(y / y.norm(), sum_ / sum_.norm(), atol=1e-4, rtol=0)

    def test_a_band_is_gone_and_the_rest_as_it_was(self):
        source = clips(32, 4000)
        before, after = (torch.fft.rfft(x).abs() for x in (source / 32768, seen(source, replace(STILL, band_stop=1.0)).x))
        gone = after < 1e-3 * before.mean()
        mel = torch.log1p(torch.linspace(0, RATE / 2, 2001) / 700)
        mel = mel / mel[-1]
        for i in range(32):
            places = gone[i].nonzero()[:, 0]
            assert 0.03 < float(mel[places[-1]] - mel[places[0]]) <= 0.2
            assert bool(gone[i, places[0] : places[-1] + 1].all())
            torch.testing.assert_close(after[i, ~gone[i]], before[i, ~gone[i]], atol=1e-2, rtol=1e-3)

    def test_a_hidden_time_is_one_span_of_zeros(self):
        source = torch.full((100, 2000), 9000, dtype=torch.int16)
        hidden = seen(source, replace(STILL, mask_time=0.5, mask=(0.1, 0.3))).x == 0
        n = hidden.sum(dim=1)
        assert 30 < int((n > 0).sum()) < 70
        assert 199 <= int(n[n > 0].min()) <= int(n.max()) <= 601
        assert int((hidden[:, 1:] & ~hidden[:, :-1]).sum(dim=1).max()) <= 1


class TestLooks:
    def test_sizes_and_shares(self):
        raw, viewer = whole(clips(40, 2000)), AudioViewer(STILL, 2000)
        large, small = (viewer.view(raw, look, 5, torch.arange(40)).x for look in MultiCrop(1, 1).looks)
        assert (large.shape[1], small.shape[1]) == (2000, 1000)
        n = (~large.isnan()).sum(dim=1)
        assert 800 <= int(n.min()) < 1000 < 1900 < int(n.max()) <= 2000
        assert int((~small.isnan()).sum(dim=1).max()) <= 800

    def test_what_concerns_pictures_is_not_heard(self):
        assert {AudioPolicy().of(look) for look in TwoViews(asymmetric=True).looks} == {AudioPolicy()}

    @pytest.mark.parametrize("speed", [(1.0, 1.0), (0.8, 1.2)])
    def test_crops_of_different_parts_do_not_overlap(self, speed):
        """A ramp tells which sample of the source is heard."""
        source = torch.arange(4000, dtype=torch.int16).expand(64, -1)
        halves = [
            seen(source, replace(STILL, crop=(0.3, 0.5), speed=speed, part=part), key=key).x * 32768
            for key, part in enumerate([(0.0, 0.5), (0.5, 1.0)])
        ]
        first, second = halves
        assert first[~first.isnan()].max() < 2000 <= second[~second.isnan()].min() + 1e-2
        assert ((~first.isnan()).sum(1) >= 0.3 * 4000 / speed[1] - 1).all()

    def test_weak_views_are_crops_and_gains(self):
        weak, strong = (AudioPolicy().of(look) for look in WeakStrong().looks)
        assert strong == AudioPolicy()
        assert (weak.crop, weak.gain) == (strong.crop, strong.gain)
        assert weak.noise == weak.mix == weak.reverb == weak.band_stop == weak.mask_time == 0
        assert weak.speed == (1, 1)

    def test_settings_have_limits(self):
        assert AudioPolicy().change({"gain": [-20, 3], "speed": [0.5, 2]}).gain == (-20, 3)
        for changes in ({"speed": [0, 1]}, {"gain": 3}, {"noise": 2}, {"crop": [0.5, 1.2]}, {"rt60": [0, 1]}):
            with pytest.raises(UserError, match=f"view setting {next(iter(changes))} takes"):
                AudioPolicy().change(changes)
        with pytest.raises(UserError, match="unknown view setting 'nois': did you mean 'noise'"):
            AudioPolicy().change({"nois": 1})


def test_lengths_that_transforms_are_quick_at() -> None:
    assert [_fast(n) for n in (1, 7, 16, 4001, 16001, 24001)] == [2, 8, 16, 4050, 16200, 24300]
