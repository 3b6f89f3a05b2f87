from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ipse.errors import UserError
from ipse.losses.video import palindrome, ping_pong
from ipse.methods.restore.tecogan_pingpong import TecoGAN
from ipse.models.recurrent_video import FrameRecurrent, triplets
from ipse.models.warp import backward_warp


def small(channels: int = 1, **words: object) -> TecoGAN:
    torch.manual_seed(0)
    usual = {"blocks": 1, "width": 4, "judges": 2, "flow_width": 2, "crop": 8, "frames": 3, "feature_width": 2, "scale": 2}
    return TecoGAN(channels, **{**usual, **words}).eval()  # type: ignore[arg-type]


def clip(frames: int = 4, size: int = 24, channels: int = 1) -> Tensor:
    return torch.rand(1, frames, channels, size, size, generator=torch.Generator().manual_seed(0))


def test_palindromes_have_2n_minus_1_frames_in_pairs() -> None:
    x = clip(5)
    y = palindrome(x)
    assert y.shape[1] == 9
    for t in range(1, 10):
        other = 2 * 5 - t  # counted from 1
        assert torch.equal(y[:, t - 1], y[:, other - 1])
    assert ping_pong(y).item() == 0
    y[:, 7] += 1  # g'_2 beside g_2, one of four pairs
    assert ping_pong(y).item() == pytest.approx(1 / 4)
    assert ping_pong(clip(1)).item() == 0


def test_ping_pong_is_zero_without_recurrence() -> None:
    per_frame = nn.Conv2d(1, 1, 3, padding=1)
    g = torch.stack([per_frame(a) for a in palindrome(clip(4)).unbind(1)], 1)
    assert ping_pong(g).item() == 0


def test_ping_pong_is_zero_at_the_fixed_point_of_a_still_clip() -> None:
    """A recurrent generator that has settled gives the same on the way there and back; at first, from nothing, it does not."""
    generator = small().generator
    still = clip(1).expand(-1, 60, -1, -1, -1)
    with torch.no_grad():
        settled = generator(still)
        assert ping_pong(settled[:, -9:]) < 1e-3 * ping_pong(settled[:, :9]) + 1e-12
        assert ping_pong(settled[:, :9]) > 0


def test_gradients_reach_both_ways_of_the_palindrome() -> None:
    g = clip(5).requires_grad_()
    ping_pong(g).backward()
    assert g.grad is not None
    assert g.grad[:, [0, 1, 3, 4]].abs().amax((0, 2, 3, 4)).min() > 0
    assert g.grad[:, 2].abs().max() == 0  # n itself has no partner


def test_first_frame_comes_from_nothing_and_later_ones_from_the_one_before() -> None:
    generator = small().generator
    x = clip(3)
    y = generator(x)
    assert y.shape == (1, 3, 1, 48, 48)
    torch.testing.assert_close(generator(x[:, :1]), y[:, :1])
    other = x.clone()
    other[:, 0] = 0
    assert not torch.equal(generator(other)[:, 2], y[:, 2])
    flows = generator.flows(x)
    moved = nn.functional.pixel_unshuffle(backward_warp(y[:, 1], generator.enlarged(flows[:, 1])), 2)
    torch.testing.assert_close(generator.frame(x[:, 2], moved), y[:, 2])


def test_the_discriminator_sees_nine_pictures_of_the_same_frames() -> None:
    a, x = clip(7, 8), clip(7, 16)
    still = torch.zeros(1, 2, 2, 16, 16)
    seen = triplets(a, x, still, still, border=0.25)
    assert seen.shape == (2, 9, 16, 16)
    torch.testing.assert_close(seen[1, 3:6], x[0, 3:6, 0])
    torch.testing.assert_close(seen[1, 6:, 4:12, 4:12], x[0, 3:6, 0, 4:12, 4:12])
    assert seen[:, 6:, :4].abs().max() == 0
    expected = nn.functional.interpolate(a[:, 3:6, 0], size=(16, 16), mode="bilinear")[0]
    torch.testing.assert_close(seen[1, :3], expected)


def test_warped_triplets_stand_still_for_exact_flows() -> None:
    wide = torch.rand(1, 1, 16, 40)
    x = torch.stack([wide[..., 2 * t : 2 * t + 16] for t in range(3)], 1)  # the picture moves left by 2
    flow = torch.tensor([2.0, 0.0]).view(1, 1, 2, 1, 1).expand(1, 1, 2, 16, 16)
    seen = triplets(torch.zeros(1, 3, 1, 8, 8), x, flow, -flow, border=0.25)[0, 6:]
    torch.testing.assert_close(seen[0, 4:12, 4:12], seen[1, 4:12, 4:12], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen[2, 4:12, 4:12], seen[1, 4:12, 4:12], atol=1e-5, rtol=1e-5)


def test_degraded_clips_keep_their_mean_and_their_place() -> None:
    method = small(scale=4, blur=1.5)
    ramp = torch.arange(64.0).expand(1, 1, 1, 64, 64)
    low = method.degraded(ramp)
    assert low.shape == (1, 1, 1, 16, 16)
    torch.testing.assert_close(low[0, 0, 0, 8, 4:12], 4 * torch.arange(4.0, 12.0) + 1.5)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_learns_with_all_its_players(scale: int) -> None:
    one, two = small(scale=scale, warm=0.5, detach=2), small(scale=scale, warm=0.5, detach=2)
    before = {k: v.clone() for k, v in one.named_parameters()}
    for method in (one, two):
        method.fit([clip(5, 32)], seed=1, steps=4)
    moved = {k.split(".")[0] for k, v in one.named_parameters() if not torch.equal(v, before[k])}
    assert moved == {"generator", "judge"}
    x = clip(3, 9)
    assert one.restore(x).shape == (1, 3, 1, 9 * scale, 9 * scale)
    assert torch.equal(one.restore(x), two.restore(x))


def test_a_strong_discriminator_pauses() -> None:
    method = small(warm=0.0, balance=-1.0)
    before = {k: v.clone() for k, v in method.judge.named_parameters()}
    method.fit([clip(5, 32)], steps=3)
    assert all(torch.equal(v, before[k]) for k, v in method.judge.named_parameters())


def test_learns_from_sharp_clips_where_there_are_some() -> None:
    alone, liked = small(), small()
    alone.fit([clip(4, 32)], steps=2)
    liked.fit([clip(4, 32)], like=[clip(3, 40) * 0.5], steps=2)
    assert not torch.equal(alone.restore(clip(2, 8)), liked.restore(clip(2, 8)))


def test_mistakes() -> None:
    with pytest.raises(UserError, match="frames must be at least 2"):
        small(frames=1)
    with pytest.raises(UserError, match="scale is 1, 2, 4 or 8"):
        FrameRecurrent(3, scale=3)
    with pytest.raises(UserError, match="give it some"):
        small().fit([], steps=1)
    with pytest.raises(UserError, match="at least 2 frames"):
        small().fit([clip(1)], steps=1)
    with pytest.raises(UserError, match="smaller than 2 x 2"):
        small().fit([clip(3, 1)], steps=1)
    with pytest.raises(UserError, match=r"takes frames \(B, T, 1, H, W\)"):
        small().restore(torch.zeros(1, 2, 3, 8, 8))
