"""scikit-learn's ways with few labels, on embeddings."""

from __future__ import annotations

import pytest
import torch

from ipse.errors import UserError
from ipse.metrics.semi_supervised import label_spreading, self_training


def clusters(n: int = 90) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.arange(n) % 3
    noise = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return 6 * torch.eye(4)[y] + noise, y


@pytest.mark.parametrize("measure", [self_training, label_spreading])
def test_clusters_need_few_labels(measure) -> None:  # type: ignore[no-untyped-def]
    z, y = clusters()
    few = torch.where(torch.arange(90) < 15, y, -1)
    assert measure(z, few, z + 0.01, y) > 0.9
    half = torch.where(torch.arange(90) < 45, y, -1)
    assert measure(z, few, z + 0.01, half) > 0.9


@pytest.mark.parametrize("measure", [self_training, label_spreading])
def test_one_class_is_too_few(measure) -> None:  # type: ignore[no-untyped-def]
    z, y = clusters()
    with pytest.raises(UserError, match="at least two classes"):
        measure(z, torch.where(y == 0, y, -1), z, y)
    with pytest.raises(UserError, match="and the test part too"):
        measure(z, y, z, torch.full_like(y, -1))
