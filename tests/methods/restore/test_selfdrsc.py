from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses.rolling_shutter import charbonnier, flow_variation, redistorted, redistorted_via
from ipse.methods.restore.selfdrsc import Patch, SelfDRSC
from ipse.models.flow import lucas_kanade
from ipse.models.shutter import GlobalShutter, encodings
from ipse.transforms.rolling_shutter import dual_reversed, rolling_shutter, row_times


def small(**words: object) -> SelfDRSC:
    torch.manual_seed(0)
    usual = {"widths": (4, 4, 4, 4), "hidden": 2, "size": 32, "margin": 8, "feature_width": 2, "frames": 5}
    return SelfDRSC(1, **{**usual, **words}).eval()  # type: ignore[arg-type]


def panned(speed: float, frames: int = 33, size: int = 48) -> Tensor:
    """A picture that moves to the right by `speed` pixels during the readout: (T, 1, size, size)."""
    x, y = torch.arange(float(size)), torch.arange(float(size))[:, None]

    def at(t: float) -> Tensor:
        place = x - speed * t
        return 0.5 + 0.2 * torch.sin(0.4 * place) * torch.cos(0.3 * y) + 0.2 * torch.sin(0.2 * place + 0.3 * y)

    return torch.stack([at(t / (frames - 1)) for t in range(frames)])[:, None]


def test_of_what_stands_still_a_rolling_shutter_makes_the_same() -> None:
    still = panned(0, 5)
    pair = dual_reversed(still)
    torch.testing.assert_close(pair, still[:2])
    g = still[:1]
    flow = lucas_kanade(g, g)
    assert flow.abs().max() < 1e-4
    for reverse in (False, True):
        time = row_times(48, reverse).view(1, 1, -1, 1)
        again = redistorted(g, g, flow, flow, time)
        via = redistorted_via((g, g, g), ((flow, flow), (flow, flow)), time, torch.full((1, 1, 1, 1), 0.4))
        for each in (again, via):
            assert (each - pair[int(reverse)]).abs().max() < 1e-5
            assert charbonnier(each, pair[int(reverse)][None], eps=0.0).item() < 1e-6


def test_each_row_is_shifted_by_the_velocity_times_its_time() -> None:
    speed, frames = 8.0, panned(8.0, 65)
    for reverse in (False, True):
        picture = rolling_shutter(frames, reverse)
        for row in (0, 17, 47):
            time = row_times(48, reverse)[row]
            x = torch.arange(48.0) - speed * time
            exact = 0.5 + 0.2 * torch.sin(0.4 * x) * torch.cos(torch.tensor(0.3 * row)) + 0.2 * torch.sin(0.2 * x + 0.3 * row)
            torch.testing.assert_close(picture[0, row], exact, atol=2e-3, rtol=0)


@pytest.mark.parametrize("reverse", [False, True])
def test_exact_frames_and_flows_distort_to_the_picture(reverse: bool) -> None:
    frames = panned(6.0, 65)
    picture, g0, gs, g1 = rolling_shutter(frames, reverse)[None], frames[:1], frames[16:17], frames[64:]
    to = [torch.tensor([d, 0.0]).view(1, 2, 1, 1).expand(1, 2, 48, 48) for d in (6.0, -6.0, 1.5, -1.5, 4.5, -4.5)]
    time, inner = row_times(48, reverse).view(1, 1, -1, 1), (..., slice(4, -4), slice(8, -8))
    whole = redistorted(g0, g1, to[0], to[1], time)
    via = redistorted_via((g0, gs, g1), ((to[2], to[3]), (to[4], to[5])), time, torch.full((1, 1, 1, 1), 0.25))
    wrong = redistorted(g0, g1, to[0], to[1], 1 - time)
    for each in (whole, via):
        assert (each - picture)[inner].abs().mean() < 0.01
    assert (wrong - picture)[inner].abs().mean() > 0.05


def test_at_time_0_and_1_the_frames_themselves() -> None:
    g0, g1 = torch.rand(2, 1, 1, 12, 12)
    flows = torch.randn(2, 1, 2, 12, 12)
    torch.testing.assert_close(redistorted(g0, g1, flows[0], flows[1], torch.zeros(1, 1, 12, 1)), g0)
    torch.testing.assert_close(redistorted(g0, g1, flows[0], flows[1], torch.ones(1, 1, 12, 1)), g1)


def test_encodings_of_both_pictures_are_each_others_flips() -> None:
    e = encodings(row_times(9)[None], torch.tensor([[0.0, 0.3, 1.0]]))
    assert e.shape == (1, 2, 3, 9, 1)
    torch.testing.assert_close(e[:, 0], e[:, 1].flip(-2))
    torch.testing.assert_close(e[0, 0, 0, :, 0], row_times(9))
    torch.testing.assert_close(e[0, 1, 2, :, 0], -row_times(9))


def test_rows_at_the_wished_time_are_left_where_they_are() -> None:
    torch.manual_seed(0)
    net = GlobalShutter(1, widths=(4, 4, 4, 4), hidden=2)
    x = torch.rand(1, 2, 1, 32, 32)
    made, flows = net(x, torch.zeros(1, 2, 3, 32, 32))
    assert all(f.abs().max() == 0 for f in flows)
    torch.testing.assert_close(made[:, 1], x.mean(1))  # the fusion begins as the mean


def test_charbonnier_and_variation_by_hand() -> None:
    assert charbonnier(torch.tensor([3.0, 0.0]), torch.zeros(2), eps=16.0).item() == pytest.approx((5 + 4) / 2)
    ramp = torch.arange(5.0).expand(1, 2, 5, 5)
    assert flow_variation(ramp).item() == pytest.approx(1)


def test_patches_know_their_rows() -> None:
    method = small(size=16)
    x = row_times(40).view(1, 1, 1, 40, 1).expand(1, 2, 1, 40, 50)
    for seed in range(4):
        patch = method.patches([x], torch.Generator().manual_seed(seed), 4)
        assert patch.x.shape == (1, 2, 1, 24, 24)
        torch.testing.assert_close(patch.x[0, 0, 0, :, 0], patch.rows[0])
        assert torch.equal(patch.inner(4).rows[0], patch.rows[0, 4:-4])


@pytest.mark.parametrize("words", [{}, {"via_middle": False}, {"distilled": 0.0}, {"perceptual": 0.0}])
def test_learns(words: dict[str, object]) -> None:
    pairs = [dual_reversed(panned(v))[None] for v in (3.0, -4.0)]
    one, two = small(**words), small(**words)
    before = one.restore(pairs[0])
    for method in (one, two):
        method.fit(pairs, seed=1, steps=2)
    after = one.restore(pairs[0])
    assert after.shape == (1, 5, 1, 48, 48)
    assert torch.equal(after, two.restore(pairs[0]))
    assert not torch.equal(after, before)


def test_the_middle_term_counts() -> None:
    x = dual_reversed(panned(5.0))[None]
    patch, times = Patch(x, row_times(48)[None]), torch.tensor([[0.0, 0.4, 1.0]])
    with_it, _ = small().redistortion(patch, times)
    without, _ = small(via_middle=False).redistortion(patch, times)
    assert with_it > without > 0


def test_any_size_and_any_number_of_frames() -> None:
    for n, size in ((1, (33, 40)), (2, (32, 32)), (4, (7, 50))):
        made = small(frames=n).restore(torch.rand(1, 2, 1, *size))
        assert made.shape == (1, n, 1, *size)


@pytest.mark.slow
def test_straightens_what_moves() -> None:
    """Pictures panned at several speeds: the frame in the middle gets nearer to the truth than either picture."""
    clips = [panned(v) for v in (-6.0, -4.0, 4.0, 6.0)]
    pairs = [dual_reversed(c)[None] for c in clips]
    method = small(widths=(16, 16, 16, 16), hidden=8, distilled=0.0, lr=2e-3, frames=1, size=48, batch=2)
    method.fit(pairs, steps=120)
    truth = torch.stack([c[16] for c in clips])
    ours = (torch.cat([method.restore(p)[:, 0] for p in pairs]) - truth).square().mean()
    raw = (torch.cat([p[:, 0] for p in pairs]) - truth).square().mean()
    assert ours < 0.5 * raw


def test_mistakes() -> None:
    with pytest.raises(UserError, match="widths are four"):
        SelfDRSC(widths=(1, 2))
    with pytest.raises(UserError, match="give it some"):
        small().fit([], steps=1)
    with pytest.raises(UserError, match="takes two pictures.*not 3"):
        small().restore(torch.rand(1, 3, 1, 8, 8))
    with pytest.raises(UserError, match="set a smaller one"):
        small(distilled=1.0).fit([torch.rand(1, 2, 1, 12, 40)], steps=1)
    with pytest.raises(UserError, match="at least 2 of them"):
        rolling_shutter(torch.rand(1, 1, 4, 4))
