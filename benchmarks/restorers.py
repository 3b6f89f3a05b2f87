"""Restored photos: ipse's methods beside what is at hand elsewhere, by how near they come to the photo as it was."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import ipse
from benchmarks.timing import Figures, missing
from ipse import randomness
from ipse.metrics.restoration import psnr, ssim
from ipse.transforms.noise import correlated_gaussian, gaussian, poisson

SIDE = 192
SIGMA, PHOTONS, GAMMA, GAIN = 25 / 255, 30, 2.2, 0.25
Corruption = Callable[[Tensor, torch.Generator], Tensor]
CORRUPTIONS: dict[str, tuple[str, Corruption]] = {
    "white": ("white noise of sigma 25 of 255", lambda x, chance: gaussian(x, SIGMA, chance)),
    "photons": (f"noise of light, {PHOTONS} photons where it is white", lambda x, chance: poisson(x, 1 / PHOTONS, chance)),
    "correlated": (
        "noise of sigma 25 of 255, a mean of 3 x 3 pixels",
        lambda x, chance: correlated_gaussian(x, SIGMA, chance),
    ),
    "dark": (f"a quarter of the light, at gamma {GAMMA}", lambda x, chance: GAIN * x**GAMMA),
}
METHODS: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "white": (("filter2noise", {}),),
    "photons": (),
    "correlated": (),
    "dark": (("noiser", {}),),
}
CLASSICS = ("nlm", "tv", "bm3d")


def photos() -> dict[str, Tensor]:
    """The middle of four photos of scikit-image, at half size where they are large enough: (3, SIDE, SIDE) in [0, 1]."""
    from skimage import data

    found = {}
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        x = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1).float() / 255
        x = torch.nn.functional.avg_pool2d(x, 2) if min(x.shape[1:]) >= 2 * SIDE else x
        top, left = ((n - SIDE) // 2 for n in x.shape[1:])
        found[name] = x[:, top : top + SIDE, left : left + SIDE]
    return found


def written(pictures: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Writes pictures as PNG of 8 bits; gives them back as they are there."""
    folder.mkdir()
    kept = {}
    for name, x in pictures.items():
        pixels = (x.clamp(0, 1) * 255).round().byte()
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{name}.png")
        kept[name] = pixels.float() / 255
    return kept


def lightened(pictures: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Dark photos by scikit-image's means: the histogram of each neighbourhood made even, and the power that makes the mean mid grey."""
    from skimage import exposure

    arms: dict[str, dict[str, Tensor]] = {"adaptive histogram": {}, "gamma to mid grey": {}}
    for name, x in pictures.items():
        pixels = x.permute(1, 2, 0).numpy()
        even = exposure.equalize_adapthist(pixels)
        powers = np.linspace(0.05, 1, 96)
        power = powers[np.argmin([abs((pixels**g).mean() - 0.5) for g in powers])]
        for arm, y in (("adaptive histogram", even), ("gamma to mid grey", exposure.adjust_gamma(pixels, power))):
            arms[arm][name] = torch.from_numpy(np.ascontiguousarray(y)).permute(2, 0, 1).float()
    return arms


def judged(pictures: dict[str, Tensor], truth: dict[str, Tensor]) -> Figures:
    """Mean PSNR and SSIM of all photos."""
    return {
        "PSNR": mean(psnr(x, truth[name]) for name, x in pictures.items()),
        "SSIM": mean(ssim(x, truth[name]) for name, x in pictures.items()),
    }


def measure() -> Figures:
    if absent := missing("skimage", "bm3d"):
        return {"absent": absent}
    result: Figures = {"absent": []}
    for kind, (_, corrupt) in CORRUPTIONS.items():
        # a cache of its own: nothing is learned yet
        with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, IPSE_CACHE=f"{name}/cache"):
            folder = Path(name)
            chance = torch.Generator().manual_seed(randomness.key(0, "noise", kind))
            truth = written(photos(), folder / "true")
            bad = written({n: corrupt(x, chance) for n, x in truth.items()}, folder / "bad")
            arms: Figures = {"as it is": judged(bad, truth)}
            contestants = [("auto", {}), *METHODS[kind], *((key, {}) for key in CLASSICS if kind != "dark")]
            for i, (key, settings) in enumerate(contestants):
                began = time.process_time()
                out = folder / str(i)
                ipse.restore(folder / "bad", method=key, set=settings, out=out, quiet=True)
                seconds = time.process_time() - began
                facts = json.loads((out / "restored.json").read_text())["restored"]
                restored = {
                    Path(one["name"]).stem: torch.from_numpy(np.array(Image.open(one["out"]))).permute(2, 0, 1) / 255
                    for one in facts
                }
                left = {n: x for n, x in bad.items() if n not in restored}  # which auto finds nothing to do about
                chosen = sorted({one["method"] for one in facts}) if key == "auto" else []
                arms[key] = {**judged(restored | left, truth), "seconds": seconds / len(bad), "chosen": chosen}
            if kind == "dark":
                arms |= {arm: judged(pictures, truth) for arm, pictures in lightened(bad).items()}
            result[kind] = arms
    return result


def render(figures: Figures) -> str:
    if figures["absent"]:
        return f"Not measured: {', '.join(figures['absent'])} not installed (`pip install 'ipse[restore]'`)."
    lines = ["| | method | PSNR | SSIM | processor seconds per photo |", "|---|---|---:|---:|---:|"]
    for kind, (text, _) in CORRUPTIONS.items():
        for i, (arm, of) in enumerate(figures[kind].items()):
            name = f"auto: {', '.join(of['chosen'])}" if of.get("chosen") else arm
            seconds = f"{of['seconds']:.0f}" if "seconds" in of else ""
            lines.append(f"| {text if i == 0 else ''} | {name} | {of['PSNR']:.1f} dB | {of['SSIM']:.3f} | {seconds} |")
    return "\n".join(lines)
