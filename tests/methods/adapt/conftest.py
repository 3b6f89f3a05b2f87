"""Classifiers that learned in seconds."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ipse import models
from ipse.data import form


@pytest.fixture(scope="session")
def digits() -> tuple[Tensor, Tensor]:
    """Pictures of digits (1797, 1, 8, 8) in [-1, 1], and which."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))
    x = torch.tensor(data.images / 8 - 1, dtype=torch.float32)[:, None]
    return x[order], torch.tensor(data.target)[order]


@pytest.fixture(scope="session")
def classifier(digits: tuple[Tensor, Tensor]) -> models.Classifier:
    """One with batch normalisation that knows about 97 % of the digits from the 1,000th on."""
    x, y = digits
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.Classifier(models.create("small_conv", form.image(1, 8), widths=(16, 32, 64)), list("0123456789"))
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for _ in range(6):
            for i in torch.randperm(1000).split(50):
                loss = nn.functional.cross_entropy(model(x[i]), y[i])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return model.eval()


@pytest.fixture(scope="session")
def rotating() -> models.Classifier:
    """A classifier of colour pictures with a second head for rotations, normalised in groups."""
    from ipse.models.branch import Branch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.Classifier(models.create("small_conv", form.image(3, 16), widths=(8, 16, 16), groups=4), list("abc"))
        model.rotation = Branch(model.encoder, 4)
    return model.eval()
