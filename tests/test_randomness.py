from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from ipse import randomness
from ipse.randomness import bits, key, normal, shuffled, uniform

N = 1 << 16
ONE_IN_A_MILLION = 1e-6  # every test here draws fixed numbers; a sound generator falls below this with that chance per check


def independent(a: NDArray[np.float32], b: NDArray[np.float32], cells: int = 16) -> float:
    """The p-value of a chi-square test that the pairs (a, b) fill a grid of cells evenly."""
    cell = (a * cells).astype(int) * cells + (b * cells).astype(int)
    return float(stats.chisquare(np.bincount(cell, minlength=cells**2)).pvalue)


def mixed(x: int) -> int:
    """lowbias32 in Python's integers, which do not overflow."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


@pytest.mark.parametrize("x", [0, 1, 2, 255, 0x7FFFFFFF, 0x80000000, 0xDEADBEEF, 0xFFFFFFFF])
def test_the_mixer_is_lowbias32_although_products_overflow(x):
    assert randomness._mix(torch.tensor([x])).item() == mixed(x)


def test_keys_depend_on_every_part_and_its_place():
    keys = [key(), key(0), key(1), key(10), key(0, 0), key(0, 1), key(1, 0), key(0, "a"), key("a", 0), key(0, "epoch", 1)]
    assert len(set(keys)) == len(keys)
    assert all(0 <= k < 2**32 for k in keys)
    assert key(0, "view", 1) == 0xA52E0E2A  # the same on every machine, today and tomorrow


@pytest.mark.parametrize("k", [0, 1, 0xFFFFFFFF, key(0, "crop")])
def test_bits_are_32_bits_each_as_often_one_as_zero(k):
    drawn = bits(k, torch.arange(N), 2)
    assert drawn.dtype == torch.int64
    assert drawn.shape == (N, 2)
    assert int(drawn.min()) >= 0
    assert int(drawn.max()) < 2**32
    ones = (drawn[:, :, None] >> torch.arange(32)) & 1
    z = (ones.double().mean(0) - 0.5) * 2 * N**0.5
    assert float(z.abs().max()) < 5


@pytest.mark.parametrize("start", [0, 10**6, 2**31 - N // 2, 2**32 - N // 2, 2**40])
def test_uniform_numbers_are_uniform(start):
    u = uniform(key(7, "crop"), torch.arange(start, start + N), 3)
    assert u.dtype == torch.float32
    assert float(u.min()) >= 0
    assert float(u.max()) < 1
    for column in u.numpy().T:
        assert stats.kstest(column, "uniform").pvalue > ONE_IN_A_MILLION
        assert stats.chisquare(np.bincount((column * 256).astype(int), minlength=256)).pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("lag", [1, 2, 3, 64, 256, 512, 1000])
def test_neighbouring_positions_are_independent(lag):
    u = uniform(key(0, "view", 0), torch.arange(N), 1).numpy()[:, 0]
    assert independent(u[:-lag], u[lag:]) > ONE_IN_A_MILLION
    assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 5 / N**0.5


@pytest.mark.parametrize(("i", "j"), [(0, 1), (1, 2), (0, 7), (0, 10), (9, 19)])
def test_columns_are_independent(i, j):
    u = uniform(key(0, "crop"), torch.arange(N), 20).numpy()
    assert independent(u[:, i], u[:, j]) > ONE_IN_A_MILLION


@pytest.mark.parametrize("lag", [1, 32, 1024])
def test_the_columns_of_one_position_are_a_good_stream(lag):
    u = uniform(key(3, "noise"), torch.tensor([5, 6]), N).numpy()
    assert stats.kstest(u[0], "uniform").pvalue > ONE_IN_A_MILLION
    assert independent(u[0, :-lag], u[0, lag:]) > ONE_IN_A_MILLION
    assert independent(u[0], u[1]) > ONE_IN_A_MILLION


@pytest.mark.parametrize(
    ("k1", "k2"),
    [
        (key(0, "crop"), key(1, "crop")),
        (key(0, "crop"), key(0, "flip")),
        (key(key(0, "view", 0), "crop"), key(key(0, "view", 1), "crop")),
        (1000, 1001),
        (0, 1 << 31),
    ],
)
def test_keys_are_independent_also_those_that_differ_in_one_bit(k1, k2):
    a, b = (uniform(k, torch.arange(N), 1).numpy()[:, 0] for k in (k1, k2))
    assert independent(a, b) > ONE_IN_A_MILLION
    other = torch.arange(N) ^ ((k1 ^ k2) % N)  # the positions that meet the same bits as under the other key
    assert independent(uniform(k1, other, 1).numpy()[:, 0], b) > ONE_IN_A_MILLION


def test_numbers_do_not_repeat_more_often_than_by_chance():
    drawn = bits(key(1, "noise"), torch.arange(1000), 1000).flatten().numpy()
    pairs = len(drawn) - len(np.unique(drawn))
    expected = len(drawn) ** 2 / 2 / 2**32  # the birthdays of a million people in a year of 2^32 days
    assert abs(pairs - expected) < 5 * expected**0.5


@pytest.mark.parametrize("draw", [bits, uniform, normal])
def test_a_part_of_the_batch_draws_what_the_whole_batch_draws_there(draw):
    position = torch.arange(1000, 1256)
    whole = draw(key(0, "a"), position, 5)
    assert torch.equal(torch.cat([draw(key(0, "a"), part, 5) for part in position.split([1, 63, 64, 128])]), whole)
    order = torch.randperm(256, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(key(0, "a"), position[order], 5), whole[order])
    assert draw(key(0, "a"), position[:0], 5).shape == (0, 5)


def test_more_columns_leave_the_first_ones_as_they_are():
    assert torch.equal(uniform(9, torch.arange(64), 10)[:, :3], uniform(9, torch.arange(64), 3))


def test_normal_numbers_have_the_moments_and_the_shape_of_the_normal_distribution():
    x = normal(key(0, "noise"), torch.arange(N // 4), 8).flatten().double().numpy()
    n = len(x)
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 5 / n**0.5
    assert abs(x.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs(stats.skew(x)) < 5 * (6 / n) ** 0.5
    assert abs(stats.kurtosis(x)) < 5 * (24 / n) ** 0.5
    assert stats.kstest(x, "norm").pvalue > ONE_IN_A_MILLION


def test_normal_columns_are_independent():
    x = normal(key(0, "noise"), torch.arange(N), 2).double().numpy()
    assert independent(*stats.norm.cdf(x).T.clip(0, 1 - 1e-9)) > ONE_IN_A_MILLION
    assert abs(np.corrcoef(x.T**2)[0, 1]) < 5 / N**0.5


@pytest.mark.parametrize("n", [1, 2, 3, 5, 255, 256, 257, 10007, 65536, 65537, 131072, 131073])
@pytest.mark.parametrize("k", [0, key(0, "epoch", 0), 0xFFFFFFFF])
def test_shuffled_is_a_permutation(n, k):
    assert torch.equal(shuffled(torch.arange(n), n, k).sort().values, torch.arange(n))


@pytest.mark.parametrize("n", [1000, 70001])
def test_shuffled_gives_parts_of_the_same_permutation(n):
    whole = shuffled(torch.arange(1000), n, 5)
    assert torch.equal(torch.cat([shuffled(part, n, 5) for part in torch.arange(1000).split(100)]), whole)
    assert shuffled(torch.arange(0), n, 5).shape == (0,)


def test_shuffled_takes_little_memory_however_long_the_permutation():
    far = shuffled(torch.tensor([0, 1, 10**12 - 1]), 10**12, 5)
    assert len(set(far.tolist())) == 3
    assert 0 <= int(far.min()) <= int(far.max()) < 10**12


@pytest.mark.parametrize("n", [10007, 70001])
def test_shuffled_differs_by_key(n):
    a, b = (shuffled(torch.arange(n), n, key(0, "epoch", e)) for e in (0, 1))
    same = int((a == b).sum())  # one on average, nearly Poisson
    assert same < 10
    assert stats.spearmanr(a.numpy(), b.numpy()).pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("n", [257, 10007, 65537, 131072])
def test_shuffled_looks_random(n):
    order = shuffled(torch.arange(n), n, key(3, "epoch", 2)).numpy()
    assert stats.spearmanr(np.arange(n), order).pvalue > ONE_IN_A_MILLION
    assert stats.spearmanr(order[:-1], order[1:]).pvalue > ONE_IN_A_MILLION
    assert (order == np.arange(n)).sum() < 10
    assert (np.abs(np.diff(order)) == 1).sum() < 15  # neighbours that stay together: two on average
    rises = (np.diff(order) > 0).sum()  # normal with this mean and variance (Eulerian numbers)
    assert abs(rises - (n - 1) / 2) < 5 * ((n + 1) / 12) ** 0.5


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_every_order_of_a_handful_of_samples_is_equally_likely(n):
    draws = 1500
    orders = [tuple(shuffled(torch.arange(n), n, key(0, "epoch", e)).tolist()) for e in range(draws)]
    counts = [orders.count(order) for order in permutations(range(n))]
    assert stats.chisquare(counts).pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("n", [7, 8, 16, 17, 64])
def test_every_place_and_every_pair_of_places_is_equally_likely(n):
    orders = np.stack([shuffled(torch.arange(n), n, key(1, "epoch", e)).numpy() for e in range(1500)])
    places = np.stack([np.bincount(orders[:, i], minlength=n) for i in range(n)])
    expected = len(orders) / n
    assert stats.chi2.sf(((places - expected) ** 2 / expected).sum(), (n - 1) ** 2) > ONE_IN_A_MILLION
    steps = np.bincount((orders[:, 1] - orders[:, 0]) % n, minlength=n)[1:]
    assert stats.chisquare(steps).pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("n", [65537, 131072])
def test_the_places_of_a_long_permutation_are_independent_of_each_other(n):
    here = torch.tensor([0, 1, 256, 512, n - 1])
    places = np.stack([shuffled(here, n, key(2, "epoch", e)).numpy() for e in range(400)]) / n
    for column in places.T:
        assert stats.kstest(column, "uniform").pvalue > ONE_IN_A_MILLION
    for other in places.T[1:]:
        assert stats.kstest((other - places[:, 0]) % 1, "uniform").pvalue > ONE_IN_A_MILLION
