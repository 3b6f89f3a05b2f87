"""Views per second: the SimCLR pipeline of four libraries on the same pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import Figures, show, side_by_side
from ipse.transforms.image import ImagePolicy, make_view

# The defaults of lightly's SimCLRTransform: crops of 8 to 100 %, jitter 0.8 / 0.8 / 0.8 / 0.2 with chance 0.8, grey 0.2, blur 0.5.
CROP, JITTER, HUE, SIGMA = (0.08, 1.0), 0.8, 0.2, (0.1, 2.0)
PEERS = ("lightly, 1 process", "lightly, 2 workers", "kornia", "torchvision v2")


def pictures(n: int, size: int) -> Tensor:
    """Smooth colour noise, uint8 (n, 3, size, size)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(n, 3, 8, 8, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, size, mode="bilinear").to(torch.uint8)


def ours(x: Tensor, size: int, solarize: float = 0.0) -> Callable[[], Any]:
    policy = ImagePolicy(
        crop=CROP, brightness=JITTER, contrast=JITTER, saturation=JITTER, hue=HUE, sigma=SIGMA, solarize=solarize
    )
    aspect, position = torch.ones(len(x)), torch.arange(len(x))
    return lambda: make_view(x, aspect, policy, size, 0, position)


class Pairs(Dataset):  # type: ignore[type-arg]
    """PIL pictures under lightly's transform, which makes two views of each."""

    def __init__(self, x: Tensor, size: int, **options: Any):
        from lightly.transforms.simclr_transform import SimCLRTransform
        from PIL import Image

        self.images = [Image.fromarray(i.permute(1, 2, 0).numpy()) for i in x]
        self.transform = SimCLRTransform(input_size=size, sigmas=SIGMA, **options)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> list[Tensor]:
        return cast(list[Tensor], self.transform(self.images[i]))


def lightly(x: Tensor, size: int, workers: int) -> Callable[[], Any]:
    """lightly's loop over its documented DataLoader; the workers stay alive between the passes, and a pass has four batches."""
    pairs, batch = Pairs(x, size), len(x) // 4
    loader = DataLoader(pairs, batch_size=batch, num_workers=workers, persistent_workers=workers > 0)

    def every() -> None:
        for _ in loader:
            pass

    return every


def kornia(x: Tensor) -> Callable[[], Any]:
    import kornia.augmentation as K

    size = x.shape[-1]
    pipeline = K.AugmentationSequential(
        K.RandomResizedCrop((size, size), scale=CROP),
        K.RandomHorizontalFlip(p=0.5),
        K.ColorJitter(JITTER, JITTER, JITTER, HUE, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.RandomGaussianBlur((_kernel(size),) * 2, SIGMA, p=0.5),
        K.Normalize(torch.full((3,), 0.5), torch.full((3,), 0.5)),
    )
    return lambda: pipeline(x.float() / 255)


def torchvision(x: Tensor, size: int) -> Callable[[], Any]:
    from torchvision.transforms import v2

    pipeline = v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=CROP, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(JITTER, JITTER, JITTER, HUE)], p=0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(_kernel(size), SIGMA)], p=0.5),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    return lambda: torch.stack([pipeline(i) for i in x])


def _kernel(size: int) -> int:
    """The blur's window: four sigma to either side, or what the picture allows."""
    return min(17, size - 1 + size % 2)


def measure(
    sizes: tuple[int, ...] = (32, 96, 224), rounds: int = 5, batch: int = 256, peers: int | None = None, seconds: float = 0.5
) -> Figures:
    """Views per second at each size. `peers`: how many pictures the per-sample libraries get per call; their rate does not depend on it."""
    figures: Figures = {}
    with torch.no_grad():
        for size in sizes:
            x = pictures(batch if size < 200 else min(batch, 64), size)
            some = x[: peers or max(64, min(256, 12288 // size))]
            contestants = {
                "ipse": (len(x), ours(x, size)),
                "ipse, solarize 0.2": (len(x), ours(x, size, 0.2)),
                "kornia": (len(x), kornia(x)),
                "torchvision v2": (len(some), torchvision(some, size)),
                "lightly, 1 process": (2 * len(some), lightly(some, size, 0)),
                "lightly, 2 workers": (2 * len(some), lightly(some, size, 2)),
            }
            figures[str(size)] = side_by_side(contestants, rounds, seconds)
    return figures


def render(figures: Figures) -> str:
    names = list(next(iter(figures.values())))
    lines = ["| views per second | " + " | ".join(f"{s} px" for s in figures) + " |", "|---|" + "---:|" * len(figures)]
    lines += [f"| {name} | " + " | ".join(show(rows[name]) for rows in figures.values()) + " |" for name in names]
    for peer in PEERS:
        ratios = (rows["ipse"]["median"] / rows[peer]["median"] for rows in figures.values())
        lines.append(f"| **ipse is so many times {peer}** | " + " | ".join(f"**{r:.1f}**" for r in ratios) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render(measure()) + "\n")
