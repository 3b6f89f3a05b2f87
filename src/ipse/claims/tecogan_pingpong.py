"""Clips played forwards and back teach a recurrent net not to drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ipse.claims import Claim

if TYPE_CHECKING:
    from torch import Tensor

CLAIM = Claim(
    statement=(
        "With the ping-pong loss the error of a recurrent net grows less, by a tenth, over 120 frames, twelve times as many as it learned "
        "from, than without."
    ),
    setting=(
        "Pans over scikit-learn's photos: 12 clips of china to learn from, 4 of flower to test, 4 x super-resolution of 20 x 20 pixels; "
        "2 blocks of 16 channels, without discriminator, clips of 10 frames forwards and back, 240 steps at lr 1e-3 (3,000 in the long "
        "run)"
    ),
    measure="squared error of frames 111 to 120 over that of the same frames when the clip begins at frame 101",
    kind="less",
    bound=0.1,
    seeds=3,
    long_seeds=5,
    tried=(
        "The measure asked for the error of frames 51 to 60 over that of frames 3 to 12 at first: without ping-pong 1.11, but bicubic "
        "interpolation, which cannot drift, has 1.09, as later frames are harder. Against clips that begin later, on seed 100, there "
        "was no drift without the ping-pong loss in any pilot, after 60 or 110 frames (1.000 each): without discriminator at lr 1e-3 and "
        "3e-3 for 240 and 400 steps, with one at weights 0.1 and 0.2 and content 0.3 or 1, with clips of 4 frames (0.99994), and on "
        "frames that stand still. What the generator is told of its last frame fades within a few: a clip that begins at frame 101 "
        "differs by 0.006 to 0.008 at first and by 3e-6 to 4e-5 ten frames later. At lr 1e-3 it "
        "reached 26.1 dB beside 25.9 of bicubic, at 3e-3 no more than bicubic, so that the latter say nothing. There is nothing "
        "for the loss to mend at this size. Published: 5e-5 for 500,000 steps."
    ),
)


def run(seed: int, long: bool) -> dict[str, float]:
    import torch

    from ipse.methods.restore import Restorer
    from ipse.methods.restore.kept import build
    from ipse.metrics.video import t_lp, t_of

    steps = 3000 if long else 240
    chance = np.random.default_rng(seed)
    sharp = [_frames(_pan(1, 120, chance)) for _ in range(4)]
    like = [_frames(_pan(0, 30, chance)) for _ in range(12)]
    small = [_frames(_smaller(x[0].movedim(1, -1).numpy())) for x in sharp]

    def learned(pingpong: float) -> Restorer:
        words = {
            "blocks": 2,
            "width": 16,
            "flow_width": 8,
            "crop": 16,
            "feature_width": 4,
            "perceptual": 0.0,
            "adversarial": 0.0,
        }
        method = build("tecogan-pingpong", 3, words | {"pingpong": pingpong, "lr": 1e-3}, seed)
        method.fit(small, like=like, seed=seed, steps=steps)
        return method

    def error(made: list[Tensor], start: int, end: int) -> float:
        errors = [(x[:, -10:] - y[:, start:end]).square().mean() for x, y in zip(made, sharp, strict=True)]
        return float(torch.stack(errors).mean())

    shown: dict[str, float] = {}
    also: dict[str, float] = {}
    for arm, pingpong in (("ping-pong", 0.5), ("without", 0.0)):
        method = learned(pingpong)
        whole = [method.restore(a) for a in small]
        late = [method.restore(a[:, 100:]) for a in small]
        shown[arm] = error(whole, 110, 120) / error(late, 110, 120)
        pairs = [(x[0, ::6], y[0, ::6]) for x, y in zip(whole, sharp, strict=True)]
        errors = [float((x - y).square().mean()) for x, y in zip(whole, sharp, strict=True)]
        also[f"PSNR, {arm}"] = -10 * float(np.log10(np.mean(errors)))
        also[f"tOF, {arm}"], also[f"tLP, {arm}"] = (float(np.mean([f(x, y) for x, y in pairs])) for f in (t_of, t_lp))
    return shown | also


def _pan(photo: int, frames: int, chance: np.random.Generator) -> NDArray[np.float32]:
    """A window of 80 x 80 pixels that glides over a photo and turns back at its border: (T, 80, 80, 3)."""
    from sklearn.datasets import load_sample_images

    pixels = load_sample_images().images[photo] / 255
    place, velocity = chance.uniform((0, 0), (346, 559)), chance.uniform(-2, 2, size=2)
    windows = []
    for _ in range(frames):
        i, j = place.round().astype(int).clip(0, (346, 559))
        windows.append(pixels[i : i + 80, j : j + 80])
        place = place + velocity
        velocity = np.where((place < 0) | (place > (346, 559)), -velocity, velocity)
    return np.stack(windows).astype(np.float32)


def _smaller(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blurred with sigma 1.5, every fourth pixel."""
    from scipy.ndimage import gaussian_filter

    y = gaussian_filter(x, (0, 1.5, 1.5, 0), mode="nearest")
    small: NDArray[np.float32] = (y[:, 1::4, 1::4] + y[:, 1::4, 2::4] + y[:, 2::4, 1::4] + y[:, 2::4, 2::4]) / 4
    return small


def _frames(x: NDArray[np.float32]) -> Tensor:
    """A clip (T, H, W, 3) as the method takes it, (1, T, 3, H, W)."""
    import torch

    return torch.from_numpy(x.clip(0, 1)).movedim(-1, 1)[None]
