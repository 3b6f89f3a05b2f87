from __future__ import annotations

import math

import pytest
import torch
from tests.methods.restore.pictures import clean, psnr
from torch import Tensor

from ipse.errors import UserError
from ipse.methods.restore import Tile
from ipse.methods.restore.merlin import Carrier, Merlin, without_carrier
from ipse.methods.restore.tiles import restore_tiled
from ipse.training import seeded
from ipse.transforms import noise


def small(**settings: object) -> Merlin:
    with seeded(0):
        return Merlin(**{"width": 8, "depth": 2, "patch": 32, "batch": 4, "lr": 3e-3, "last_lr": 1e-3} | settings)  # type: ignore[arg-type]


def scene(size: int = 64) -> Tensor:
    return 1 + 99 * clean(size) ** 2


def radar(size: int = 64, correlation: int = 1) -> Tensor:
    return noise.speckle(scene(size), torch.Generator().manual_seed(0), correlation)


@pytest.mark.parametrize("correlation", [1, 3])
def test_takes_speckle_away(correlation: int) -> None:
    z, truth = radar(correlation=correlation), scene().sqrt() / 10
    method = small(lr=5e-3, last_lr=5e-4)
    method.fit([z], steps=300)
    amplitude = z.square().sum(1, keepdim=True).sqrt() / 10
    assert psnr(method.restore(z) / 10, truth) > psnr(amplitude, truth) + 4


def test_parts_may_change_places() -> None:
    z = radar()
    method = small(recentre=False)
    method.fit([z], steps=3)
    torch.testing.assert_close(method.restore(z.flip(1)), method.restore(z))


def test_one_part_is_predicted_from_the_other_alone() -> None:
    z = radar().requires_grad_()
    method = small()
    method.fit([z.detach()], steps=1)
    (gradient,) = torch.autograd.grad(method.log_reflectivity(z[:, :1]).sum(), z)
    assert gradient[:, 1].abs().max() == 0
    assert gradient[:, 0].abs().max() > 0


def test_both_reflectivities_are_averaged_and_not_their_logarithms() -> None:
    z = radar()
    method = small(recentre=False)
    method.fit([z], steps=3)
    with torch.no_grad():
        a, b = (method.log_reflectivity(z[:, i, None]).exp() for i in (0, 1))
    torch.testing.assert_close(method.restore(z), ((a + b) / 2).sqrt())


def test_other_units_give_the_same_picture() -> None:
    z = radar()
    pictures = []
    for unit in (1.0, 1e-3):
        method = small()
        method.fit([unit * z], steps=3)
        pictures.append(method.restore(unit * z) / unit)
    torch.testing.assert_close(pictures[0], pictures[1], rtol=1e-3, atol=1e-3)


def test_the_papers_range_can_be_given() -> None:
    method = small(low=-1.429329123112601, high=10.089038980848645)
    z = 30 * radar()
    method.fit([z], steps=1)
    assert method.range.tolist() == pytest.approx([-1.429329, 10.089039], rel=1e-6)
    with pytest.raises(UserError, match="low must be less"):
        small(low=1.0, high=0.0)


def shifted(z: Tensor, row: float, column: float) -> Tensor:
    return without_carrier(z, Carrier(-row, -column))


def test_a_doppler_shift_is_found_and_undone() -> None:
    z = radar(128, correlation=3)
    moved = shifted(z, 10 / 64, -5 / 64)
    method = small()
    carrier = method.survey([Tile(moved)])
    assert carrier == Carrier(10 / 64, -5 / 64)
    torch.testing.assert_close(without_carrier(moved, carrier), z, atol=1e-3, rtol=1e-3)
    assert small(recentre=False).survey([Tile(moved)]) == Carrier(0, 0)
    assert method.survey([Tile(radar(128))]) == Carrier(0, 0)  # white: no middle


def test_a_shift_makes_neighbouring_parts_dependent_until_it_is_undone() -> None:
    z = noise.speckle(torch.ones(1, 1, 512, 512), torch.Generator().manual_seed(0), 3)
    moved = shifted(z, 0, 1 / 4)

    def dependence(x: Tensor) -> float:
        return abs(float((x[:, 0, :, 1:] * x[:, 1, :, :-1]).mean()))

    assert dependence(moved) > 0.2
    assert dependence(without_carrier(moved, small().survey([Tile(moved)]))) < 0.02


def test_tiles_show_no_seam() -> None:
    z = shifted(radar(192, correlation=3), 3 / 64, 7 / 64)
    method = small()
    method.fit([z], steps=2)
    whole, tiled = method.restore(z), torch.zeros(1, 1, 192, 192)

    def put(rows: slice, columns: slice, part: Tensor) -> None:
        tiled[..., rows, columns] = part

    restore_tiled(method, (192, 192), lambda rows, columns: z[..., rows, columns], put, 64)
    torch.testing.assert_close(tiled, whole, rtol=1e-3, atol=1e-3)


def test_zeros_stay_finite_and_nothing_but_zeros_is_said() -> None:
    z = radar()
    z[..., :10, :] = 0
    method = small()
    method.fit([z], steps=3)
    assert method.restore(z).isfinite().all()
    with pytest.raises(UserError, match="every amplitude is 0"):
        small().fit([torch.zeros(1, 2, 32, 32)], steps=1)
    assert math.isfinite(float(method.restore(torch.zeros(1, 2, 32, 32)).sum()))
