from __future__ import annotations

from itertools import combinations

import pytest
import torch

from ipse.transforms.reflect import reflected, to_multiple
from ipse.transforms.subsample import batch_to_space, diagonals, local_shuffle, pick, random_cells, space_to_batch


def picture(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("stride", [1, 2, 5])
def test_space_to_batch_and_back(stride: int) -> None:
    x = picture(2, 3, 20, 10)
    parts = space_to_batch(x, stride)
    assert parts.shape == (2 * stride**2, 3, 20 // stride, 10 // stride)
    assert torch.equal(parts[0], x[0, :, ::stride, ::stride])
    assert torch.equal(parts[-1], x[1, :, stride - 1 :: stride, stride - 1 :: stride])
    assert torch.equal(batch_to_space(parts, stride), x)


def test_every_picked_pixel_lies_in_its_own_cell() -> None:
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(18.0), indexing="ij")
    x = torch.stack([rows, columns]).expand(4, -1, -1, -1)
    cells = random_cells(tuple(x.shape), 3, key=7)
    small = pick(x, cells, 3)
    assert torch.equal(small[:, 0] // 3, torch.arange(4.0)[:, None].expand(4, 4, 6))
    assert torch.equal(small[:, 1] // 3, torch.arange(6.0).expand(4, 4, 6))
    assert torch.equal(small[:, 0] % 3 * 3 + small[:, 1] % 3, cells[:, 0].float())
    counts = random_cells((1, 1, 300, 300), 3, key=0).flatten().bincount()
    assert counts.min() > 1000
    assert torch.equal(cells, random_cells(tuple(x.shape), 3, key=7))
    assert not torch.equal(cells, random_cells(tuple(x.shape), 3, key=8))


def test_picking_a_constant_is_constant_and_commutes() -> None:
    x = picture(2, 3, 8, 8)
    cells = random_cells((2, 3, 8, 8), 2, key=1)
    assert (pick(torch.full_like(x, 0.3), cells, 2) == 0.3).all()
    torch.testing.assert_close(pick(3 * x + 1, cells, 2), 3 * pick(x, cells, 2) + 1)


def test_diagonals_of_a_constant() -> None:
    for half in diagonals(torch.full((1, 2, 8, 6), 0.4)):
        assert half.shape == (1, 2, 4, 3)
        torch.testing.assert_close(half, torch.full_like(half, 0.4))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_shuffle_swaps_exactly_the_closest_pair(channels: int) -> None:
    x = picture(2, channels, 8, 6)
    y = local_shuffle(x)
    for b in range(2):
        for i in range(0, 8, 2):
            for j in range(0, 6, 2):
                before, after = (z[b, :, i : i + 2, j : j + 2].flatten(1).T for z in (x, y))
                p, q = min(
                    combinations(range(4), 2), key=lambda pair: float((before[pair[0]] - before[pair[1]]).square().sum())
                )
                expected = before.clone()
                expected[[p, q]] = before[[q, p]]
                assert torch.equal(after, expected)


def test_the_shuffle_as_the_authors_code_does_it() -> None:
    """The first two rows of (7 i mod 11) / 11 on 8x8, by their ELS."""
    x = (torch.arange(64.0) * 7 % 11 / 11).reshape(1, 1, 8, 8)
    assert (11 * local_shuffle(x)[0, 0, :2]).round().tolist() == [[1, 7, 4, 10, 7, 2, 9, 6], [0, 8, 3, 0, 6, 3, 10, 5]]


def test_gradients_follow_the_shuffled_pixels() -> None:
    x = torch.tensor([[[[1.0, 5.0], [2.0, 9.0]]]], requires_grad=True)
    local_shuffle(x)[..., 0, 0].sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0, 0, 1, 0]


def test_reflection_as_torch_does_it_and_further() -> None:
    x = picture(1, 2, 5, 7)
    torch.testing.assert_close(reflected(x, 3, 4, 6, 2), torch.nn.functional.pad(x, (6, 2, 3, 4), mode="reflect"))
    assert reflected(x, 20, 0, 0, 30).shape == (1, 2, 25, 37)
    assert (reflected(picture(1, 1, 1, 1), 2, 3, 1, 0) == picture(1, 1, 1, 1)).all()
    assert to_multiple(x, 4).shape == (1, 2, 8, 8)
    assert to_multiple(x, 1) is x
