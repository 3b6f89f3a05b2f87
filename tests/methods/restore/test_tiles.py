"""Tiles without seams: the same as the whole picture at once."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ipse.methods.restore import Restorer
from ipse.methods.restore.kept import build
from ipse.methods.restore.tiles import restore_tiled, restore_whole
from ipse.models.unet import DnCNN, UNet


class Net(Restorer):
    """A net as it starts."""

    noise, fits = "none", "nothing"

    def __init__(self, net: UNet | DnCNN):
        super().__init__(1)
        self.inner = net.double()

    @property
    def halo(self) -> int:
        return self.inner.radius

    @property
    def multiple(self) -> int:
        return self.inner.multiple

    def restore(self, x: Tensor, whole: None = None) -> Tensor:
        return self.inner(x)


class Whole(Restorer):
    """Looks at everything."""

    noise, fits = "none", "nothing"

    def restore(self, x: Tensor, whole: None = None) -> Tensor:
        return x - x.mean((2, 3), keepdim=True)


def tiled(method: Restorer, x: Tensor, side: int) -> Tensor:
    y = torch.full_like(x, float("nan"))

    def put(rows: slice, columns: slice, part: Tensor) -> None:
        assert y[..., rows, columns].isnan().all()
        y[..., rows, columns] = part

    restore_tiled(method, (x.shape[2], x.shape[3]), lambda rows, columns: x[..., rows, columns], put, side)
    assert not y.isnan().any()
    return y


@pytest.mark.parametrize("side", [16, 37, 512])
@pytest.mark.parametrize("size", [(70, 101), (1, 90), (64, 64)])
def test_noiser_has_no_seams(size: tuple[int, int], side: int) -> None:
    x = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 0.2
    model = build("noiser", 3, {})
    torch.testing.assert_close(tiled(model, x, side), model.restore(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("net", ["unet", "dncnn"])
def test_nets_have_no_seams(net: str) -> None:
    torch.manual_seed(0)
    model = Net(UNet(1, 1, width=4, depth=2) if net == "unet" else DnCNN(1, 1, width=4, depth=4)).eval()
    x = torch.rand(1, 1, 90, 75, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(tiled(model, x, 32), restore_whole(model, x), atol=1e-10, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_pictures_smaller_than_the_multiple(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = Net(UNet(1, 1, width=4, depth=3)).eval()
    x = torch.rand(1, 1, *size, dtype=torch.float64)
    assert tiled(model, x, 32).shape == x.shape


def test_methods_without_a_halo_see_the_whole() -> None:
    x = torch.rand(1, 3, 50, 60)
    torch.testing.assert_close(tiled(Whole(), x, 16), x - x.mean((2, 3), keepdim=True))
