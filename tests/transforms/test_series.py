from __future__ import annotations

import doctest
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.transforms import Look, MultiCrop, TwoViews, View, WeakStrong, series
from ipse.transforms.series import KNOTS, SeriesPolicy, SeriesViewer, make_view, original

STILL = replace(SeriesPolicy().weak(), crop=(1.0, 1.0), noise=0.0)
EVERYTHING = SeriesPolicy(
    permutation=0.5, channel_permutation=0.5, flip=0.5, frequency_noise=0.5, time_warp=0.5, magnitude_warp=0.5, dropout=0.1
)
KEY = 7


def waves(b: int = 64, c: int = 3, t: int = 40) -> Tensor:
    return torch.randn(b, c, t, generator=torch.Generator().manual_seed(b + c + t))


def gappy(b: int = 64, c: int = 3, t: int = 40) -> Tensor:
    """Series with missing values, of every length from 1 step to all."""
    x = waves(b, c, t)
    x[torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.1] = math.nan
    ends = 1 + torch.arange(b) % t
    return x.masked_fill((torch.arange(t) >= ends[:, None])[:, None], math.nan)


def ramp(b: int = 200, t: int = 64) -> Tensor:
    """The place of each step, in [-1, 1]."""
    return (2 * (torch.arange(t) + 0.5) / t - 1).expand(b, 1, -1).clone()


def views(x: Tensor, policy: SeriesPolicy, length: int | None = None, key: int = KEY) -> View:
    return make_view(x, policy, length or x.shape[2], key, torch.arange(len(x)))


def same(a: Tensor, b: Tensor, tolerance: float = 1e-4) -> bool:
    return bool((a.isnan() == b.isnan()).all()) and float((a - b).nan_to_num(0).abs().max()) <= tolerance


def test_examples_come_out_as_printed():
    assert doctest.testmod(series).failed == 0


class TestPolicy:
    def test_weak_is_a_mild_crop_and_little_noise(self):
        x = waves(256)
        view = views(x, SeriesPolicy(flip=1.0, dropout=0.5).weak())
        assert 0.8 <= float(view.matrix[:, 0, 0].min()) < 0.81
        noise = view.x - views(x, replace(STILL, crop=(0.8, 1.0))).x
        assert float(noise[noise != 0].std()) == pytest.approx(0.025, rel=0.05)

    @pytest.mark.parametrize("name", [f.name for f in fields(SeriesPolicy)])
    def test_the_usual_values_are_allowed(self, name):
        value = getattr(SeriesPolicy(), name)
        assert SeriesPolicy().change({name: list(value) if isinstance(value, tuple) else value}) == SeriesPolicy()

    @pytest.mark.parametrize(
        ("name", "value", "limits"),
        [
            ("crop", 0.5, "a low and a high number from 0 to 1, for example crop=[0.5, 1.0]"),
            ("segments", [0, 3], "a low and a high number from 1 to 64"),
            ("noise", 1.5, "a number from 0 to 1"),
            ("jitter", -1, "a number of at least 0"),
            ("cutout_share", [0.5, 0.1], "a low and a high number from 0 to 1"),
        ],
    )
    def test_values_that_make_no_sense_are_refused_by_name(self, name, value, limits):
        with pytest.raises(UserError) as caught:
            SeriesPolicy().change({name: value})
        assert str(caught.value).startswith(f"view setting {name} takes {limits}")

    def test_the_cascade_for_wearables_can_be_said_in_a_look(self):
        cascade = {"cutout": 0.4, "magnitude_warp": 0.25, "noise": 0.25, "channel_permutation": 0.25, "time_warp": 0.15}
        policy = SeriesPolicy().of(Look(changes={**cascade, "blur": 1.0}))
        assert {name: getattr(policy, name) for name in cascade} == cascade


class TestViewer:
    @pytest.mark.parametrize("sees", [TwoViews(), TwoViews(asymmetric=True), MultiCrop(), WeakStrong()])
    def test_views_for_what_methods_see(self, sees):
        x = gappy(32, 2, 50)
        for i, look in enumerate(sees.looks):
            view = SeriesViewer(SeriesPolicy()).view({"x": x}, look, i, torch.arange(32))
            assert view.x.shape == (32, 2, round(50 * look.scale))
            assert view.x.dtype == torch.float32
            assert view.matrix.shape == (32, 1, 2)

    def test_the_original_is_the_series_as_it_is(self):
        x = gappy()
        view = SeriesViewer(SeriesPolicy()).original({"x": x})
        assert same(view.x, x, 0)
        assert view.x is not x
        assert torch.equal(view.matrix, torch.tensor([[[1.0, 0.0]]]).expand(64, -1, -1))

    def test_of_more_channels_some_are_shown(self):
        x = gappy(16, 3)
        viewer, every = SeriesViewer(SeriesPolicy(), take=(2, 0)), SeriesViewer(SeriesPolicy())
        for look in (Look("none"), Look()):
            view = viewer.view({"x": x}, look, 1, torch.arange(16)).x
            assert same(view, viewer.view({"x": x[:, [2, 0]]}, look, 1, torch.arange(16)).x, 0)
            assert same(view, every.view({"x": x[:, [2, 0]]}, look, 1, torch.arange(16)).x, 0)

    def test_the_original_at_half_the_length_is_the_mean_of_neighbours(self):
        x = waves(4, 2, 10)
        assert same(original(x, 5).x, x.view(4, 2, 5, 2).mean(3), 1e-6)


class TestEveryKindOfSource:
    @pytest.mark.parametrize("shape", [(5, 1, 1), (5, 3, 2), (1, 1, 7), (0, 2, 8), (4, 1, 1000), (3, 40, 5)])
    @pytest.mark.parametrize("scale", [0.1, 0.5, 1.0])
    def test_sizes(self, shape, scale):
        for x in (torch.ones(shape), torch.full(shape, math.nan), gappy(*shape)):
            view = SeriesViewer(EVERYTHING).view({"x": x}, Look(scale=scale), 0, torch.arange(len(x)))
            assert view.x.shape == (*shape[:2], max(1, round(shape[2] * scale)))
            assert bool(view.x.isnan().all((1, 2)).eq(x.isnan().all((1, 2))).all()) or x.isnan().any()
            assert not view.x.isinf().any()

    def test_something_is_left_of_every_series_that_is_complete(self):
        policy = replace(EVERYTHING, cutout=1.0, cutout_share=(1.0, 1.0), dropout=0.9)
        assert not views(waves(200, 2, 5), policy).x.isnan().all((1, 2)).any()
        assert not views(waves(200, 2, 1), policy).x.isnan().any()

    def test_the_source_stays_as_it_is(self):
        x = gappy()
        before = x.clone()
        for policy in (EVERYTHING, STILL, replace(EVERYTHING, crop=(1.0, 1.0))):
            views(x, policy)
        assert same(x, before, 0)


class TestWhereTheBatchIsCut:
    """Views depend on (key, position), not on who makes them."""

    @pytest.mark.parametrize("make", [waves, gappy])
    @pytest.mark.parametrize("policy", [SeriesPolicy(), EVERYTHING])
    @pytest.mark.parametrize("parts", [[32, 32], [1, 63], [1] * 64])
    def test_parts_of_a_batch_are_the_views_of_the_whole(self, make, policy, parts):
        x, position = make(), torch.arange(1000, 1064)
        whole = make_view(x, policy, 40, KEY, position)
        pieces = [make_view(s, policy, 40, KEY, p) for s, p in zip(x.split(parts), position.split(parts), strict=True)]
        assert same(torch.cat([p.x for p in pieces]), whole.x, 1e-5)
        assert same(torch.cat([p.matrix for p in pieces]), whole.matrix, 1e-6)

    def test_the_same_again_is_the_same_bit_for_bit_and_another_key_is_another_view(self):
        x = gappy()
        assert same(views(x, EVERYTHING).x, views(x, EVERYTHING).x, 0)
        assert not same(views(x, EVERYTHING).x, views(x, EVERYTHING, key=8).x)
        one = views(waves(1).repeat(16, 1, 1), SeriesPolicy()).x.nan_to_num(0)
        assert float((one[1:] - one[:-1]).abs().mean((1, 2)).min()) > 0.01

    @pytest.mark.parametrize("name", ["noise", "cutout", "time_warp", "permutation", "flip", "channel_permutation", "dropout"])
    def test_changing_one_setting_leaves_the_crops_alone(self, name):
        x = waves()
        assert torch.equal(views(x, replace(SeriesPolicy(), **{name: 0.0})).matrix, views(x, EVERYTHING).matrix)


class TestTime:
    @pytest.mark.parametrize("make", [waves, gappy])
    def test_nothing_happens_when_all_is_off(self, make):
        view = views(make(), STILL)
        assert same(view.x, make())
        assert same(view.matrix, torch.tensor([[[1.0, 0.0]]]).expand(64, -1, -1))

    @pytest.mark.parametrize("length", [64, 32, 100])
    def test_the_matrix_says_where_each_step_is_from(self, length):
        """The series whose values are their own places shows where the crop is; half a step at the ends is beyond the values."""
        view = views(ramp(), replace(STILL, crop=(0.3, 0.9)), length)
        seen = view.matrix[:, :, :1] * ramp(200, length) + view.matrix[:, :, 1:]
        assert float((view.x - seen.clamp(-1 + 1 / 64, 1 - 1 / 64)).abs().max()) < 1e-5
        share = view.matrix[:, 0, 0]
        assert 0.3 <= float(share.min()) < 0.33
        assert 0.87 < float(share.max()) <= 0.9
        first, last = view.matrix[:, 0, 1] - share, view.matrix[:, 0, 1] + share
        assert -1 <= float(first.min()) < -0.95
        assert 0.95 < float(last.max()) <= 1

    def test_a_short_series_is_cropped_within_what_is_known_and_keeps_its_length(self):
        x = ramp()
        x[:, :, 20:] = math.nan
        view = views(x, replace(STILL, crop=(0.5, 0.5)))
        assert bool((view.x.isnan() == x.isnan()).all())
        seen = view.matrix[:, :, :1] * ramp() + view.matrix[:, :, 1:]
        assert float((view.x - seen)[:, :, 1:19].abs().max()) < 1e-5
        assert -1 <= float(view.x[:, :, :20].min()) < -0.95
        assert float(view.x[:, :, :20].max()) < 2 * 20 / 64 - 1

    def test_interpolation_is_numpys_and_next_to_a_gap_it_is_the_nearer_neighbour(self):
        x = torch.tensor([[[0.0, 10.0, math.nan, 30.0, 40.0, 50.0]]])
        place = torch.tensor([[-1.0, 0.25, 1.4, 1.6, 2.0, 2.4, 2.6, 3.5, 4.75, 9.0]])
        expected = torch.tensor([[[0.0, 2.5, 10.0, math.nan, math.nan, math.nan, 30.0, 35.0, 47.5, 50.0]]])
        assert same(series._resampled(x, place), expected)
        y, at = waves(1, 1, 30), torch.linspace(-2, 32, 77)
        assert series._resampled(y, at[None])[0, 0].numpy() == pytest.approx(np.interp(at, np.arange(30), y[0, 0]), abs=1e-5)

    def test_time_warps_run_forward_between_the_same_ends_at_the_speed_of_a_smooth_curve(self):
        x, policy = ramp(), replace(STILL, time_warp=1.0, time_warp_strength=0.5)
        place = (views(x, policy).x[:, 0].double() + 1) / 2
        draw = series._Draws(KEY, torch.arange(200))
        speed = draw.normal("speed", KNOTS).double().numpy()
        for i in (0, 7, 199):
            at = np.linspace(0, KNOTS - 1, 64 * 2 + 1)[1::2]
            left = np.floor(at).astype(int)
            blend = 3 * (at - left) ** 2 - 2 * (at - left) ** 3
            pace = np.exp(0.5 * (speed[i, left] * (1 - blend) + speed[i, left + 1] * blend))
            middles = (np.cumsum(pace) - pace / 2) / pace.sum()
            assert place[i].numpy() == pytest.approx(middles.clip(0.5 / 64, 1 - 0.5 / 64), abs=1e-5)
        assert bool((place.diff(dim=1) >= 0).all())
        assert float((place - (ramp()[:, 0] + 1) / 2).abs().amax(1).median()) > 0.05

    def test_a_time_warp_of_a_short_series_ends_where_the_series_does(self):
        x = ramp()
        x[:, :, 20:] = math.nan
        view = views(x, replace(STILL, time_warp=1.0)).x
        assert bool((view.isnan() == x.isnan()).all())
        assert float((view[:, :, 19] - x[:, :, 19]).abs().max()) < 0.02

    def test_permutations_keep_all_steps_and_cut_them_into_as_many_pieces_as_asked(self):
        x = torch.arange(30.0).expand(400, 2, -1).clone()
        x[:, :, 25:] = math.nan
        for low, high in ((1, 1), (3, 3), (2, 5), (2, 64)):
            view = views(x, replace(STILL, permutation=1.0, segments=(low, high))).x
            assert same(view.sort(dim=2).values, x)
            assert torch.equal(view[:, 0].nan_to_num(-1), view[:, 1].nan_to_num(-1))
            jumps = (view[:, 0, :25].diff(dim=1) - 1).abs().gt(0.01).sum(dim=1)
            assert int(jumps.max()) <= high - 1
            if high <= 5:
                assert int(jumps.max()) == high - 1
        assert (
            float((views(x, replace(STILL, permutation=1.0)).x - x).abs().nan_to_num(0).amax((1, 2)).gt(0.5).float().mean())
            > 0.5
        )

    def test_the_number_of_pieces_is_uniform_and_so_is_their_order(self):
        x = torch.arange(1000.0).expand(3000, 1, -1)
        view = views(x, replace(STILL, permutation=1.0, segments=(2, 2))).x[:, 0]
        swapped = (view[:, 0] > 0.5).float().mean()
        assert float(swapped) == pytest.approx(0.5, abs=0.04)
        cut = view[view[:, 0] > 0.5, 0]
        assert float(cut.mean()) == pytest.approx(500, abs=35)


class TestValues:
    def test_scaling_is_a_normal_gain_of_each_channel(self):
        gain = views(torch.ones(2000, 3, 8), replace(STILL, scaling=0.2)).x
        assert same(gain, gain[:, :, :1].expand_as(gain), 1e-6)
        assert gain[:, :, 0].mean(0).numpy() == pytest.approx(1, abs=0.02)
        assert gain[:, :, 0].std(0).numpy() == pytest.approx(0.2, rel=0.06)
        assert float((torch.corrcoef(gain[:, :, 0].T) - torch.eye(3)).abs().max()) < 0.08

    def test_magnitude_warp_is_a_smooth_gain_through_the_knots(self):
        t = 10 * (KNOTS - 1)
        gain = views(torch.ones(500, 2, t), replace(STILL, magnitude_warp=1.0, magnitude_warp_strength=0.3)).x
        knots = series._Draws(KEY, torch.arange(500)).normal("magnitude", 2 * KNOTS).view(500, 2, KNOTS)
        middle = (gain[:, :, 9:-1:10] + gain[:, :, 10::10]) / 2  # steps on both sides of the inner knots
        assert float((middle - 1 - 0.3 * knots[:, :, 1:-1]).abs().max()) < 0.02
        low, high = 1 + 0.3 * knots.amin(2, keepdim=True), 1 + 0.3 * knots.amax(2, keepdim=True)
        assert bool(((gain >= low - 1e-5) & (gain <= high + 1e-5)).all())

    @pytest.mark.parametrize("t", [16, 17])
    def test_frequency_noise_is_that_of_a_slow_numpy_version(self, t):
        x, policy = gappy(32, 2, t), replace(STILL, frequency_noise=1.0, frequency_share=0.3, frequency_boost=0.5)
        got, n = views(x, policy).x, t // 2
        u, more = series._Draws(KEY, torch.arange(32)).many("frequencies", 2 * n).numpy().reshape(32, 2, n).transpose(1, 0, 2)
        for i in range(32):
            for c in range(2):
                spectrum = np.fft.rfft(np.nan_to_num(x[i, c].double().numpy()))
                largest = np.abs(spectrum[1:]).max()
                for k in range(n):
                    if u[i, k] < 0.3:
                        spectrum[k + 1] = 0
                    elif u[i, k] >= 0.7:
                        size = abs(spectrum[k + 1])
                        spectrum[k + 1] *= (size + 0.5 * more[i, k] * largest) / max(size, 1e-6)
                expected = torch.from_numpy(np.fft.irfft(spectrum, t)).float()
                assert same(got[i, c], torch.where(x[i, c].isnan(), x[i, c], expected))

    def test_frequency_noise_keeps_the_mean(self):
        x = waves() + 3
        assert same(views(x, replace(STILL, frequency_noise=1.0)).x.mean(2), x.mean(2))

    def test_noise_is_normal_with_the_deviation_asked_for(self):
        noise = views(torch.zeros(40, 4, 500), replace(STILL, noise=1.0, jitter=0.3)).x / 0.3
        values = noise.flatten().double()
        assert float(values.mean()) == pytest.approx(0, abs=0.015)
        assert float(values.std()) == pytest.approx(1, abs=0.01)
        assert float((values**4).mean()) == pytest.approx(3, abs=0.12)
        for limit, share in ((1.0, 0.3173), (2.0, 0.0455), (3.0, 0.0027)):
            assert float((values.abs() > limit).double().mean()) == pytest.approx(share, abs=0.005)
        assert float((torch.corrcoef(noise.flatten(1)) - torch.eye(40)).abs().max()) < 5 / 2000**0.5
        assert float((noise[:, :, 1:] * noise[:, :, :-1]).mean()) == pytest.approx(0, abs=0.02)

    def test_channels_change_places_whole(self):
        x = torch.tensor([1.0, 2.0, 3.0])[:, None].expand(600, 3, 5)
        view = views(x, replace(STILL, channel_permutation=1.0)).x
        assert same(view, view[:, :, :1].expand_as(view), 0)
        orders, counts = view[:, :, 0].unique(dim=0, return_counts=True)
        assert len(orders) == 6
        assert bool(((counts > 60) & (counts < 140)).all())
        assert bool((view[:, :, 0].sort(dim=1).values == torch.tensor([1.0, 2.0, 3.0])).all())

    def test_flip_is_the_opposite_sign(self):
        x = gappy()
        assert same(views(x, replace(STILL, flip=1.0)).x, -x)


class TestHidden:
    def test_cutout_hides_one_stretch_of_the_known_steps_of_all_channels(self):
        x = waves(500, 2, 100)
        x[:, :, 80:] = math.nan
        view = views(x, replace(STILL, cutout=1.0, cutout_share=(0.1, 0.3))).x
        hidden = view[:, 0, :80].isnan()
        assert torch.equal(hidden, view[:, 1, :80].isnan())
        assert bool((hidden.int().diff(dim=1).abs().sum(1) <= 2).all())
        width = hidden.sum(1)
        assert (int(width.min()), int(width.max())) == (8, 24)
        assert hidden.float().mean(0)[30:50].mean() == pytest.approx(0.25, abs=0.06)
        assert same(view[:, :, :80], x[:, :, :80].masked_fill(hidden[:, None], math.nan))

    def test_dropout_hides_steps_of_all_channels(self):
        missing = views(torch.ones(100, 2, 200), replace(STILL, dropout=0.2)).x.isnan()
        assert torch.equal(missing[:, 0], missing[:, 1])
        assert float(missing.float().mean()) == pytest.approx(0.2, abs=0.01)


class TestChances:
    @pytest.mark.parametrize(
        "name",
        ["time_warp", "channel_permutation", "flip", "magnitude_warp", "frequency_noise", "noise", "cutout", "permutation"],
    )
    @pytest.mark.parametrize("chance", [0.0, 0.25])
    def test_as_often_as_asked_and_nothing_else_changes(self, name, chance):
        x = waves(2000, 6, 32)
        policy = replace(STILL, jitter=0.1, segments=(8, 8), frequency_share=0.5, **{name: chance})
        changed = ((views(x, policy).x - x).abs() <= 1e-4).logical_not().flatten(1).any(1)
        assert float(changed.float().mean()) == pytest.approx(chance, abs=4 * (chance * (1 - chance) / 2000) ** 0.5)

    def test_each_happens_independently_of_the_others(self):
        draw = series._Draws(KEY, torch.arange(4000))
        numbers = torch.stack([draw(name) for name in series._DRAWN])
        assert float((torch.corrcoef(numbers) - torch.eye(len(numbers))).abs().max()) < 5 / 4000**0.5
