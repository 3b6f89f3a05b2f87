from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import nn

from ipse.claims import pretrained, taught
from ipse.claims.harness.compute import equal_steps, step_cost
from ipse.data import Data, open_data

TABLE: dict[str, Any] = {"method": "diet", "encoder": "table_mlp", "options": {"width": 16, "depth": 2}, "batch_size": 8}


def weights(module: nn.Module) -> int:
    return module.weight.numel() if isinstance(module, nn.Linear) else 0


@pytest.fixture(autouse=True)
def _cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("IPSE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def table() -> Data:
    return open_data(np.random.default_rng(0).normal(size=(40, 5)), modality="table")


def test_a_step_of_linear_layers_by_hand(table: Data) -> None:
    method = taught(pretrained(table, 0, **TABLE, steps=1), table)
    # Forwards, to the weights, and to the inputs, which are learned where a cell is missing.
    assert step_cost(table, **TABLE) == 8 * 3 * sum(map(weights, method.modules()))


def test_a_step_of_attention_by_hand(table: Data) -> None:
    words = TABLE | {"encoder": "ft_transformer", "options": {"width": 16, "depth": 1, "heads": 2}}
    method = taught(pretrained(table, 0, **words, steps=1), table)
    inside, all_weights = (sum(map(weights, each.modules())) for each in (method.encoder, method))
    tokens = 5
    once = tokens * inside + (all_weights - inside) + 2 * tokens * tokens * 16  # queries with keys, shares with values
    assert step_cost(table, **words) == 8 * 3 * once


def test_half_the_batch_takes_twice_the_steps(table: Data) -> None:
    assert equal_steps(table, 30, ours=TABLE, baseline=TABLE) == 30
    assert equal_steps(table, 30, ours=TABLE, baseline=TABLE | {"batch_size": 4}) == 60
