"""Large pictures in overlapping tiles, so that memory does not grow with the picture and no seam shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ipse.methods.restore import Restorer, Tile
from ipse.transforms.reflect import to_multiple

Read = Callable[[slice, slice], Tensor]
Put = Callable[[slice, slice, Tensor], None]

SIDE = 512


@torch.no_grad()
def restore_tiled(method: Restorer, shape: tuple[int, int], read: Read, put: Put, side: int = SIDE) -> None:
    """Restores a picture of `shape` (H, W), of which `read(rows, columns)` gives parts (1, C, h, w); `put` takes the parts of the result.

    Each tile of `side` pixels is restored with the method's halo around it, of which nothing is kept. A method that looks at the
    whole picture surveys all tiles first, or, where it has no halo, gets the picture in one piece. Where the method wants sides of
    some multiple, the picture is continued at the right and below by reflection.
    """
    places = list(_places(shape, method, side))

    def tiles() -> Iterator[Tile]:
        for rows, columns in places:
            yield _tile(rows, columns, shape, method, read)

    whole = method.survey(tiles())
    for (rows, columns), tile in zip(places, tiles(), strict=True):
        y = tile.own(method.restore(tile.x, whole))
        put(rows, columns, y[..., : rows.stop - rows.start, : columns.stop - columns.start])


def restore_whole(method: Restorer, x: Tensor) -> Tensor:
    """Restores x (..., H, W) in one piece, continued by reflection to the multiple that the method wants."""
    height, width = x.shape[-2:]
    y = method.restore(to_multiple(x, method.multiple))
    scale = y.shape[-2] // _up(height, method.multiple)  # of methods that enlarge
    return y[..., : height * scale, : width * scale]


def _places(shape: tuple[int, int], method: Restorer, side: int) -> Iterator[tuple[slice, slice]]:
    """The part of the picture that is each tile's own."""
    side = max(shape) if method.halo is None else _up(side, method.multiple)
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            yield slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))


def _tile(rows: slice, columns: slice, shape: tuple[int, int], method: Restorer, read: Read) -> Tile:
    halo = _up(method.halo or 0, method.multiple)
    outer = [slice(max(0, own.start - halo), min(n, own.stop + halo)) for own, n in zip((rows, columns), shape, strict=True)]
    own = [slice(inner.start - out.start, inner.stop - out.start) for inner, out in zip((rows, columns), outer, strict=True)]
    return Tile(to_multiple(read(*outer), method.multiple), *own)


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
