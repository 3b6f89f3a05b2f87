from __future__ import annotations

import doctest
import math
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor

from ipse import randomness
from ipse.data import Samples
from ipse.errors import UserError
from ipse.transforms import Look, MultiCrop, TwoViews, WeakStrong, table
from ipse.transforms.table import TablePolicy, TableViewer, bank_of, make_view

COLUMNS = 10
NUMERIC = torch.arange(COLUMNS) < 6


def rows(b: int = 64) -> Tensor:
    """Cells that say where they stand: row + column / 100; some are missing."""
    x = torch.arange(b)[:, None] + torch.arange(COLUMNS) / 100
    return x.masked_fill(torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.1, math.nan)


BANK = -(1 + torch.arange(50.0)[:, None]) * 100 - torch.arange(COLUMNS)


def views(x: Tensor, policy: TablePolicy, key: int = 3) -> Tensor:
    view = make_view(x, policy, NUMERIC, BANK, key, torch.arange(len(x)))
    assert view.matrix is None
    return view.x


def viewer(policy: TablePolicy | None = None) -> TableViewer:
    return TableViewer(policy or TablePolicy(), [not n for n in NUMERIC.tolist()], BANK)


def same(a: Tensor, b: Tensor, tolerance: float = 0.0) -> bool:
    return bool((a.isnan() == b.isnan()).all()) and float((a - b).nan_to_num(0).abs().max()) <= tolerance


class Rows(Samples):
    """Rows that hold their own numbers."""

    def __init__(self, n: int):
        self.y = np.full(n, -1)

    def _read(self, rows):
        return {"x": torch.from_numpy(rows).float()[:, None]}


def test_examples_come_out_as_printed():
    assert doctest.testmod(table).failed == 0


class TestPolicy:
    @pytest.mark.parametrize("name", [f.name for f in fields(TablePolicy)])
    def test_the_usual_values_are_allowed(self, name):
        assert TablePolicy().change({name: getattr(TablePolicy(), name)}) == TablePolicy()

    @pytest.mark.parametrize(("name", "value"), [("corrupt", 1.5), ("mask", -0.1), ("noise", -1), ("corrupt", "much")])
    def test_values_that_make_no_sense_are_refused_by_name(self, name, value):
        with pytest.raises(UserError, match=f"view setting {name} takes a number"):
            TablePolicy().change({name: value})

    def test_weak_replaces_few_cells(self):
        assert TablePolicy(mask=0.2, noise=0.1).weak() == TablePolicy(corrupt=0.1)
        assert TablePolicy(corrupt=0.0).weak() == TablePolicy(corrupt=0.0)


class TestViewer:
    def test_the_original_is_the_row_as_it_is(self):
        x = rows()
        view = viewer().original({"x": x})
        assert same(view.x, x)
        assert view.x is not x
        assert view.matrix is None

    @pytest.mark.parametrize("sees", [TwoViews(asymmetric=True), MultiCrop(), WeakStrong()])
    def test_views_for_what_methods_see(self, sees):
        for look in sees.looks:
            view = viewer().view({"x": rows()}, look, 0, torch.arange(64))
            assert view.x.shape == (64, COLUMNS)
            assert view.x.dtype == torch.float32

    @pytest.mark.parametrize(
        ("look", "share"), [(Look(), 0.4), (Look(scale=0.5), 0.7), (Look("weak"), 0.1), (Look(scale=2.0), 0.4)]
    )
    def test_a_smaller_crop_is_more_corrupted(self, look, share):
        x = viewer().view({"x": rows(100)}, look, 0, torch.arange(100)).x
        assert torch.equal((x < 0).sum(1), torch.full((100,), round(share * COLUMNS)))

    def test_a_look_may_change_the_shares(self):
        x = viewer().view({"x": rows()}, Look(changes={"corrupt": 0.0, "mask": 1.0, "crop": (0.1, 0.2)}), 0, torch.arange(64)).x
        assert bool(x.isnan().all())


class TestViews:
    def test_nothing_happens_when_all_is_off(self):
        x = rows()
        view = views(x, TablePolicy(corrupt=0.0))
        assert same(view, x)
        assert view is not x

    def test_replaced_cells_are_the_same_columns_of_random_rows_of_the_bank(self):
        x = rows(4000)
        view = views(x, TablePolicy(corrupt=0.4))
        borrowed = view < 0
        assert same(view.where(~borrowed, 0.0), x.where(~borrowed, 0.0))
        number = -(view + torch.arange(COLUMNS))[borrowed]
        assert bool((number % 100 == 0).all())
        counts = (number / 100 - 1).long().bincount(minlength=50)
        assert len(counts) == 50
        expected = int(borrowed.sum()) / 50
        assert float(((counts - expected) ** 2 / expected).sum()) < 85.4  # chi-squared of 49, one in a thousand
        assert borrowed.float().mean(0).numpy() == pytest.approx(0.4, abs=0.04)
        assert len((view[borrowed.sum(1) == 4][0] / 100).floor().unique()) > 2  # cells of one view are of several rows

    @pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.25, 2, 3), (0.5, 5, 5), (0.37, 3, 4), (1.0, 10, 10)])
    def test_the_share_is_kept_in_every_row_and_on_average(self, share, least, most):
        count = views(rows(4000), TablePolicy(corrupt=share)).lt(0).sum(1)
        assert (int(count.min()), int(count.max())) == (least, most)
        assert float(count.float().mean()) == pytest.approx(share * COLUMNS, abs=0.04)

    def test_a_missing_cell_may_be_borrowed_and_replaced(self):
        x = torch.tensor([[math.nan, 1.0]])
        bank = torch.tensor([[5.0, math.nan]])
        view = make_view(x, TablePolicy(corrupt=1.0), torch.ones(2), bank, 0, torch.arange(1)).x
        assert same(view, bank)

    def test_masked_cells_are_missing(self):
        x = rows()
        view = views(x, TablePolicy(corrupt=0.0, mask=0.3))
        hidden = view.isnan() & ~x.isnan()
        assert bool((view.isnan().sum(1) >= 3).all())
        assert same(view[~hidden], x[~hidden])

    def test_noise_is_on_numbers_only(self):
        x = torch.zeros(3000, COLUMNS)
        view = views(x, TablePolicy(corrupt=0.0, noise=0.5))
        assert view[:, :6].std(0).numpy() == pytest.approx(0.5, rel=0.06)
        assert bool((view[:, 6:] == 0).all())

    def test_one_column_and_many(self):
        one = make_view(torch.zeros(2000, 1), TablePolicy(), torch.ones(1), torch.ones(7, 1), 0, torch.arange(2000)).x
        assert float(one.mean()) == pytest.approx(0.4, abs=0.05)
        many = make_view(torch.zeros(3, 10_000), TablePolicy(), torch.ones(10_000), torch.ones(1, 10_000), 0, torch.arange(3)).x
        assert many.sum(1).tolist() == [4000, 4000, 4000]

    def test_the_source_and_the_bank_stay_as_they_are(self):
        x, bank = rows(), BANK.clone()
        before = x.clone()
        views(x, TablePolicy(mask=0.5, noise=1.0))
        assert same(x, before)
        assert torch.equal(BANK, bank)


class TestWhereTheBatchIsCut:
    @pytest.mark.parametrize("parts", [[32, 32], [1, 63], [1] * 64])
    def test_parts_of_a_batch_are_the_views_of_the_whole(self, parts):
        x, position, policy = rows(), torch.arange(1000, 1064), TablePolicy(mask=0.25, noise=0.1)
        whole = make_view(x, policy, NUMERIC, BANK, 1, position).x
        pieces = zip(x.split(parts), position.split(parts), strict=True)
        assert same(torch.cat([make_view(s, policy, NUMERIC, BANK, 1, p).x for s, p in pieces]), whole)

    def test_keys_give_other_views(self):
        x, policy = rows(), TablePolicy()
        assert same(views(x, policy), views(x, policy))
        assert not same(views(x, policy), views(x, policy, key=4))

    def test_what_is_masked_has_nothing_to_do_with_what_is_replaced(self):
        position = torch.arange(5000)
        corrupted, masked = (table._some_cells(0.5, 10, randomness.key(0, name), position) for name in ("corrupt", "mask"))
        assert float((corrupted & masked).float().mean()) == pytest.approx(0.25, abs=0.01)


class TestBank:
    @pytest.mark.parametrize(("n", "most", "expected"), [(3, 10, [0, 1, 2]), (10, 5, [0, 2, 4, 6, 8]), (10, 3, [0, 3, 6])])
    def test_rows_are_evenly_spaced(self, n, most, expected):
        assert bank_of(Rows(n), most)[:, 0].tolist() == expected
