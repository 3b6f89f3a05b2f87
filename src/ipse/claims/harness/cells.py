"""White blood cells, simulated, with the class of every pixel: for claims about masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipse.claims.harness.kit import judged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ipse import Run
    from ipse.data import Data

    Floats = NDArray[np.float64]

CLASSES = ("background", "cytoplasm", "nucleus")


def cells(train: int, test: int, labelled: int, seed: int, side: int = 64) -> Data:
    """Pictures of a white cell among red ones, stained anew for each, and masks; of the training part `labelled` have one.

    Each seed draws its own cells. A cell is an uneven disc with a nucleus of two to four lobes that may touch; red cells, the smear between
    them, soft light from one side and grain belong to the background.
    """
    import numpy as np

    from ipse.data import Data, Images
    from ipse.data.masks import Masks

    chance = np.random.default_rng(seed)
    drawn = [_cell(chance, side) for _ in range(train + test)]
    x = np.stack([picture for picture, _ in drawn])
    masks = Masks(np.stack([mask for _, mask in drawn]), np.arange(train + test))
    y = np.where((np.arange(train + test) < labelled) | (np.arange(train + test) >= train), 0, -1)
    every = Images(x, y, size=side).masked(masks)
    parts = every.subset(np.arange(train)), every.subset(np.arange(train, train + test))
    return Data("cells", *parts, CLASSES, [], f"cells-{train}-{test}-{labelled}-{seed}-{side}")


def overlap(run: Run, data: Data) -> float:
    """The mean intersection over union of the three classes in the test part."""
    return judged(run, data, "mean-iou")


def _cell(chance: np.random.Generator, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """A picture (3, side, side) and its mask (side, side)."""
    import numpy as np

    y, x = (2 * np.mgrid[:side, :side] + 1) / side - 1
    picture = np.array([0.93, 0.88, 0.84]) * chance.uniform(0.85, 1.05, 3) * np.ones((side, side, 1))
    for _ in range(chance.integers(1, 6)):
        disc, rim = _disc(chance, x, y, chance.uniform(-1.2, 1.2, 2), chance.uniform(0.2, 0.34), 0.05)
        red = np.array([0.85, 0.62, 0.6]) * chance.uniform(0.85, 1.1) + 0.1 * (1 - rim[..., None])
        picture = np.where(disc[..., None], red, picture)
    mask = np.zeros((side, side), np.int16)
    centre, radius = chance.uniform(-0.3, 0.3, 2), chance.uniform(0.36, 0.6)
    body, _ = _disc(chance, x, y, centre, radius, 0.08)
    stain = chance.uniform(-0.08, 0.08, 3)
    plasm = np.array([0.78, 0.72, 0.84]) + stain + chance.uniform(-0.06, 0.06)
    picture = np.where(body[..., None], plasm + 0.04 * chance.normal(size=(side, side, 1)), picture)
    mask[body] = 1
    turn, lobes = chance.uniform(0, 2 * np.pi), chance.integers(2, 5)
    dark = np.array([0.5, 0.36, 0.66]) + stain + chance.uniform(-0.08, 0.1)
    for i in range(lobes):
        angle = turn + i * chance.uniform(0.7, 1.5)
        place = centre + 0.42 * radius * np.array([np.cos(angle), np.sin(angle)])
        lobe, rim = _disc(chance, x, y, place, radius * chance.uniform(0.28, 0.46), 0.12)
        lobe &= body
        picture = np.where(lobe[..., None], dark + 0.12 * rim[..., None], picture)
        mask[lobe] = 2
    light = 1 + chance.uniform(-0.12, 0.12) * x + chance.uniform(-0.12, 0.12) * y
    picture = picture * light[..., None] + chance.uniform(0.02, 0.06) * chance.normal(size=(side, side, 3))
    return (255 * picture).clip(0, 255).astype(np.uint8).transpose(2, 0, 1), mask


def _disc(
    chance: np.random.Generator, x: Floats, y: Floats, centre: Floats, radius: float, uneven: float
) -> tuple[NDArray[np.bool_], Floats]:
    """Where an uneven disc is, and how near its rim each place lies, from 0 in its middle to 1."""
    import numpy as np

    angle = np.arctan2(y - centre[1], x - centre[0])
    edge = radius * (1 + sum(chance.normal(0, uneven / k) * np.cos(k * angle + chance.uniform(0, 6.3)) for k in (2, 3, 4)))
    far = np.hypot(x - centre[0], y - centre[1]) / edge
    return far < 1, far.clip(0, 1)
