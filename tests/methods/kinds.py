"""Small samples of every modality, made by rule, and small encoders for them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ipse.data import Samples, open_data
from ipse.data.masks import Masks

N = 48

ENCODERS: dict[str, dict[str, Any]] = {
    "small_conv": {},
    "unet": {"width": 8, "depth": 2},
    "small_vit": {"width": 48, "depth": 2},
    "mel_conv": {"widths": (8, 16), "n_mels": 16, "dim": 24},
    "mel_transformer": {"width": 32, "depth": 2, "n_mels": 16},
    "mel_gru": {"width": 24, "depth": 2, "n_mels": 16},
    "wave_transformer": {"conv": 16, "width": 32, "depth": 2, "n_mels": 16},
    "wave_lstm": {"conv": 16, "width": 24},
    "dilated_conv": {"dim": 24, "hidden": 12},
    "patch_transformer": {"width": 24, "depth": 2, "heads": 2, "hidden": 32},
    "ft_transformer": {"width": 16, "depth": 2, "heads": 2},
    "table_mlp": {"width": 24, "depth": 2},
}


@cache
def samples(modality: str) -> Samples:
    """48 samples: groups of four where the modality has groups, and some of everything missing where things may be missing.

    "masks" are the pictures with masks of three classes for every other one, by how bright they are, and nothing known of some rows.
    """
    return {"image": _images, "masks": _masks, "audio": _audio, "series": _series, "table": _table}[modality]()


def _images() -> Samples:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (N, 3, 4, 4), dtype=np.uint8)
    return open_data(np.kron(coarse, np.ones((1, 1, 4, 4), np.uint8))).train


def _masks() -> Samples:
    pictures = _images()
    pixels = (pictures.read(np.arange(0, N, 2))["x"].float().mean(1).numpy() // 86).astype(np.int16)
    pixels[:, :2] = -1
    place = np.where(np.arange(N) % 2, -1, np.arange(N) // 2)
    return pictures.relabelled(np.where(place < 0, -1, 0)).masked(Masks(pixels, place))


def _audio() -> Samples:
    """Chords of half a second, some shorter."""
    rng = np.random.default_rng(0)
    time = np.arange(8000) / 16_000
    waves = np.zeros((N, 8000), np.float32)
    for i, wave in enumerate(waves):
        for f in rng.uniform(100, 3000, 3):
            wave += np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) / 4
        if i % 4 == 3:
            wave[rng.integers(4000, 7000) :] = np.nan
    waves += rng.normal(0, 0.01, waves.shape).astype(np.float32)
    return grouped(open_data(waves, modality="audio", size=0.5).train)


def _series() -> Samples:
    """Six channels of waves and steps, with gaps and short ends."""
    rng = np.random.default_rng(0)
    time = np.arange(64)
    x = np.stack(
        [np.sin(2 * np.pi * time[None] * rng.uniform(1, 6, (6, 1)) / 64 + rng.uniform(0, 6, (6, 1))) for _ in range(N)]
    ) + rng.normal(0, 0.1, (N, 6, 64))
    x[::5, 2, 10:20] = np.nan
    x[3::7, :, 50:] = np.nan
    return grouped(open_data(x.astype(np.float32), modality="series").train)


def _table() -> Samples:
    import pandas

    rng = np.random.default_rng(0)
    latent = rng.normal(size=N)
    frame = pandas.DataFrame({f"x{i}": latent * rng.uniform(0.5, 1.5) + rng.normal(0, 0.5, N) for i in range(6)})
    frame["colour"] = rng.choice(["red", "green", "blue"], N)
    frame["member"] = latent > 0
    frame.loc[::5, "x1"] = np.nan
    frame.loc[3::7, "colour"] = None
    return open_data(frame, modality="table").train


def grouped(samples: Samples) -> Samples:
    """The samples in groups of four."""
    samples.group = np.arange(len(samples)) // 4
    return samples
