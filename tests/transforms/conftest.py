from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor


@pytest.fixture(scope="session")
def photos() -> list[Tensor]:
    """Two photographs, a temple and a flower: uint8 (3, 427, 640)."""
    return [torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous() for image in load_sample_images().images]


@pytest.fixture(scope="session")
def patches(photos) -> Tensor:
    """Patches of the photographs at half size: uint8 (600, 3, 24, 24)."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for i in range(600):
        y, x = (int(torch.randint(0, room, (1,), generator=generator)) for room in (427 - 48, 640 - 48))
        found.append(photos[i % 2][:, y : y + 48 : 2, x : x + 48 : 2])
    return torch.stack(found)
