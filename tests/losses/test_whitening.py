from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse.errors import UserError
from ipse.losses import w_mse, whiten


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slow_whiten(h: np.ndarray, eps: float = 0.0) -> np.ndarray:
    covariance = (1 - eps) * np.cov(h.T) + eps * np.eye(h.shape[1])
    return (h - h.mean(0)) @ np.linalg.inv(np.linalg.cholesky(covariance)).T


def test_whitened_mean_is_zero_and_covariance_the_identity() -> None:
    z = whiten(random(40, 6) @ random(6, 6, seed=1) + 3)
    torch.testing.assert_close(z.mean(0), torch.zeros(6, dtype=z.dtype))
    torch.testing.assert_close(z.T.cov(), torch.eye(6, dtype=z.dtype))


def test_whitening_in_fp32_stays_exact_when_ill_conditioned() -> None:
    z = whiten(random(64, 8).float() * torch.logspace(-3, 3, 8))
    assert z.dtype == torch.float32
    torch.testing.assert_close(z.T.cov(), torch.eye(8), atol=1e-4, rtol=0)


def test_equals_the_slow_version() -> None:
    h = random(20, 4)
    np.testing.assert_allclose(whiten(h), slow_whiten(h.numpy()), atol=1e-10)
    np.testing.assert_allclose(whiten(h, eps=0.3), slow_whiten(h.numpy(), 0.3), atol=1e-10)
    np.testing.assert_allclose(whiten(torch.stack([h, 2 * h]))[1], slow_whiten(2 * h.numpy()), atol=1e-10)


def test_triangular_maps_and_shifts_are_forgotten() -> None:
    h = random(20, 4)
    triangular = random(4, 4, seed=1).tril(-1) + torch.diag(torch.tensor([1.0, 0.2, 3.0, 2.0]))
    torch.testing.assert_close(whiten(3 * h + 5), whiten(h))
    torch.testing.assert_close(whiten(h @ triangular.T + 1), whiten(h))


def test_a_singular_covariance_gives_nan() -> None:
    h = random(20, 4)
    h[:, 2] = h[:, 1] = 1
    assert whiten(h).isnan().all()
    assert whiten(h, eps=0.1).isfinite().all()


def test_identical_views_agree_and_independent_ones_do_not() -> None:
    h = random(512, 8)
    assert w_mse([h, h], size=64).item() == pytest.approx(0)
    assert w_mse([h, random(512, 8, seed=1)], size=64).item() == pytest.approx(2, abs=0.15)
    assert w_mse([h, -h], size=64).item() == pytest.approx(4)


def test_one_partition_of_the_whole_batch_is_one_whitening_and_a_cosine() -> None:
    a, b = random(20, 4), random(20, 4, seed=1)
    cosine = torch.nn.functional.cosine_similarity(whiten(a), whiten(b))
    torch.testing.assert_close(w_mse([a, b], size=20), (2 - 2 * cosine).mean())
    torch.testing.assert_close(w_mse([a, b], size=20, normalize=False), (whiten(a) - whiten(b)).square().mean())


def test_sub_batches_follow_the_permutation_in_every_view() -> None:
    a, b = random(12, 2), random(12, 2, seed=1)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    parts = [order[:6].numpy(), order[6:].numpy()]
    x, y = (np.concatenate([slow_whiten(h.numpy()[part]) for part in parts]) for h in (a, b))
    cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert w_mse([a, b], size=6, permutation=order).item() == pytest.approx(np.mean(2 - 2 * cosine))


def test_more_views_are_the_mean_over_pairs() -> None:
    h = [random(16, 3, seed=seed) for seed in range(3)]
    pairs = [w_mse([h[i], h[j]], size=8) for i, j in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(w_mse(h, size=8), torch.stack(pairs).mean())


def test_an_uneven_batch_is_cut_into_parts_that_hold_the_size() -> None:
    a, b = random(17, 3), random(17, 3, seed=1)  # 9 + 8, not 8 + 8 + 1
    first, second = (w_mse([a[rows], b[rows]], size=8) for rows in (slice(9), slice(9, 17)))
    torch.testing.assert_close(w_mse([a, b], size=8), (9 * first + 8 * second) / 17)


def test_sizes_that_cannot_work() -> None:
    h = random(16, 8)
    with pytest.raises(UserError, match="32 samples at a time but the batch holds 16"):
        w_mse([h, h], size=32)
    with pytest.raises(UserError, match="8 samples at a time in 8 dimensions"):
        w_mse([h, h], size=8)
