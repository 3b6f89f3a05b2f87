from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import Tensor

from ipse.errors import UserError
from ipse.metrics.units import cluster_purity, mutual_information, perplexity, phone_purity, pnmi


def frames(n: int = 4000) -> tuple[Tensor, Tensor]:
    """Units that are the phone, half of the time."""
    generator = torch.Generator().manual_seed(0)
    phones = torch.randint(7, (n,), generator=generator)
    noise = torch.randint(7, (n,), generator=generator)
    return torch.where(torch.rand(n, generator=generator) < 0.5, phones, noise) * 3, phones


def entropy(labels: Tensor) -> float:
    p = labels.bincount().double() / len(labels)
    return -sum(q * math.log2(q) for q in p.tolist() if q)


def test_by_hand() -> None:
    units = torch.tensor([[0, 0, 0, 1], [1, 1, 2, 2]])
    phones = torch.tensor([[4, 4, 5, 5], [5, 6, 6, 6]])
    # counts: unit 0 with 4 twice, 5 once; unit 1 with 5 twice, 6 once; unit 2 with 6 twice
    assert phone_purity(units, phones) == 6 / 8
    assert cluster_purity(units, phones) == 6 / 8
    given = (3 / 8 + 3 / 8) * (math.log2(3) - 2 / 3)  # H(phone | unit)
    assert mutual_information(units, phones) == pytest.approx(entropy(phones.flatten()) - given)
    assert perplexity(units) == pytest.approx(2 ** entropy(units.flatten()))


def test_units_that_are_the_phones() -> None:
    _, phones = frames()
    units = (phones * 5 + 3) % 31  # other names
    assert pnmi(units, phones) == pytest.approx(1)
    assert mutual_information(units, phones) == pytest.approx(entropy(phones))
    assert phone_purity(units, phones) == cluster_purity(units, phones) == pytest.approx(1)


def test_independent_units() -> None:
    units, phones = (each.flatten() for each in torch.meshgrid(torch.arange(4), torch.arange(5), indexing="ij"))
    assert pnmi(units, phones) == pytest.approx(0, abs=1e-12)
    assert phone_purity(units, phones) == pytest.approx(1 / 5)
    assert cluster_purity(units, phones) == pytest.approx(1 / 4)


def test_one_unit_per_frame() -> None:
    _, phones = frames(500)
    assert phone_purity(torch.arange(500), phones) == pytest.approx(1)
    assert cluster_purity(torch.arange(500), phones) == pytest.approx(7 / 500)
    assert pnmi(torch.arange(500), phones) == pytest.approx(1)


def test_equals_scikit_learn() -> None:
    units, phones = frames()
    assert mutual_information(units, phones) == pytest.approx(mutual_info_score(units, phones) / math.log(2))
    assert mutual_information(units, phones) == pytest.approx(mutual_information(phones, units))


def test_names_do_not_matter() -> None:
    units, phones = frames()
    order = torch.as_tensor(np.random.default_rng(0).permutation(19))
    for measure in (phone_purity, cluster_purity, mutual_information, pnmi):
        assert measure(order[units], phones + 10**12) == pytest.approx(measure(units, phones))


def test_perplexity_of_equally_likely_units() -> None:
    assert perplexity(torch.arange(32).repeat(3)) == pytest.approx(32)
    assert perplexity(torch.zeros(5).long()) == 1


def test_frames_without_unit_or_label_are_left_out() -> None:
    units, phones = frames()
    expected = pnmi(units[:2000], phones[:2000])
    units[2000:3000], phones[3000:] = -1, -1
    assert pnmi(units, phones) == expected
    with pytest.raises(UserError, match="none of the 4000 has both"):
        phone_purity(units, torch.full_like(units, -1))


def test_one_label_leaves_nothing_to_know() -> None:
    assert math.isnan(pnmi(torch.arange(4), torch.zeros(4).long()))
    assert mutual_information(torch.arange(4), torch.zeros(4).long()) == 0
