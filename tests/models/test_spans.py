from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.models.spans import chosen_positions, other_frames, other_positions, span_mask


def lengths(*counts: int) -> Tensor:
    """Clips of these lengths, padded to the longest."""
    return torch.arange(max(counts)) < torch.tensor(counts)[:, None]


def uniforms(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


class TestSpanMask:
    def test_equals_the_slow_version(self) -> None:
        valid, u = lengths(40, 23, 7, 1, 0), uniforms(5, 40)
        mask = span_mask(u, valid, 0.65, 4)
        for row, n in enumerate((40, 23, 7, 1, 0)):
            starts = sorted(range(n), key=lambda t: u[row, t].item())[: max(1, int(0.65 * n / 4 + 0.5))]
            expected = [any(s <= t < s + 4 for s in starts) and t < n for t in range(40)]
            assert mask[row].tolist() == expected

    def test_padding_is_never_hidden_and_every_clip_hides_something(self) -> None:
        valid = lengths(*range(1, 60))
        mask = span_mask(uniforms(59, 59), valid, 0.1, 10)
        assert not (mask & ~valid).any()
        assert mask.any(dim=1).all()

    def test_padding_does_not_change_the_mask(self) -> None:
        u = uniforms(3, 50)
        long = span_mask(u, lengths(30, 30, 50)[:3], 0.65, 10)
        assert torch.equal(long[:2, :30], span_mask(u[:2, :30], lengths(30, 30), 0.65, 10))

    def test_about_half_of_the_frames_with_the_usual_settings(self) -> None:
        mask = span_mask(uniforms(200, 500), lengths(*[500] * 200), 0.65, 10)
        assert mask.float().mean().item() == pytest.approx(0.48, abs=0.02)

    def test_certainty_hides_everything(self) -> None:
        assert span_mask(uniforms(2, 9), lengths(9, 9), 1.0, 1).all()


class TestChosenPositions:
    def test_they_pick_the_chosen_frames_in_order(self) -> None:
        mask = uniforms(6, 11) < 0.4
        mask[2] = False
        positions, valid = chosen_positions(mask)
        assert valid.sum(1).tolist() == mask.sum(1).tolist()
        for row in range(6):
            assert positions[row, valid[row]].tolist() == mask[row].nonzero()[:, 0].tolist()

    def test_nothing_chosen(self) -> None:
        positions, valid = chosen_positions(torch.zeros(2, 3).bool())
        assert positions.shape == (2, 1)
        assert not valid.any()


class TestOtherPositions:
    def test_never_itself_and_always_among_the_first(self) -> None:
        count = torch.tensor([8, 5, 2])
        drawn = other_positions(uniforms(3, 8, 50), count)
        for row, n in enumerate(count.tolist()):
            for own in range(n):
                assert drawn[row, own].unique().tolist() == [j for j in range(n) if j != own]

    def test_uniform(self) -> None:
        drawn = other_positions(uniforms(1, 5, 20_000), torch.tensor([5]))
        for own in range(5):
            share = drawn[0, own].bincount(minlength=5) / 20_000
            expected = torch.full((5,), 0.25)
            expected[own] = 0.0
            torch.testing.assert_close(share, expected, atol=0.015, rtol=0)

    def test_nobody_else(self) -> None:
        assert not other_positions(uniforms(2, 3, 4), torch.tensor([1, 0])).any()

    def test_the_largest_uniform_does_not_reach_beyond_the_last(self) -> None:
        n = 3_000_001
        u = torch.full((1, 1, 1), 1 - 2.0**-24)
        assert other_positions(u, torch.tensor([n])).item() < n


class TestOtherFrames:
    def test_uniform_among_the_other_valid_frames(self) -> None:
        valid = torch.tensor([[0, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1]]).bool()
        drawn = other_frames(uniforms(2, 6, 9_000), valid)
        for row in range(2):
            frames = valid[row].nonzero()[:, 0].tolist()
            for own in frames:
                share = drawn[row, own].bincount(minlength=6) / 9_000
                expected = torch.tensor([1 / (len(frames) - 1) if t in frames and t != own else 0.0 for t in range(6)])
                torch.testing.assert_close(share, expected, atol=0.025, rtol=0)

    def test_all_are_frames_of_the_clip(self) -> None:
        drawn = other_frames(uniforms(2, 4, 5), torch.zeros(2, 4).bool())
        assert ((drawn >= 0) & (drawn < 4)).all()
