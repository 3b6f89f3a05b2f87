"""Views per second of recordings: ipse against audiomentations, clip by clip, and torch-audiomentations, in batches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.timing import Figures, against, beside, missing
from ipse import randomness
from ipse.data.form import RATE
from ipse.transforms import Look
from ipse.transforms.audio import AudioPolicy, AudioViewer

# What all of them do: a crop at a random place, noise at 5 to 30 dB, a band taken out, a span hidden, another loudness.
NOISE, SNR, BAND_STOP, MASK_TIME, MASK, GAIN = 0.5, (5.0, 30.0), 0.3, 0.3, (0.02, 0.15), (-6.0, 6.0)
CENTRE, WIDTH = (200.0, 4000.0), (0.2, 0.6)  # of the band: Hz, and share of its centre
LONGER = 1.25  # how much longer than its view a clip is
SHARED = AudioPolicy(
    crop=(1 / LONGER, 1 / LONGER),
    speed=(1.0, 1.0),
    gain=GAIN,
    noise=NOISE,
    noise_snr=SNR,
    mix=0.0,
    reverb=0.0,
    band_stop=BAND_STOP,
    mask_time=MASK_TIME,
    mask=MASK,
)


def clips(n: int, samples: int) -> Tensor:
    """Noise whose loudness swells and falls as that of syllables does, int16 (n, samples)."""
    noise = randomness.normal(0, torch.arange(n), samples)
    swell = torch.sin(torch.arange(samples) * (8 * torch.pi / RATE) + torch.arange(n)[:, None]).square()
    return (noise * swell * 3000).clamp(-32768, 32767).to(torch.int16)


def ours(x: Tensor, samples: int, policy: AudioPolicy, bank: bool) -> Callable[[], Any]:
    raw = {"x": x, "length": torch.full((len(x),), x.shape[1])}
    viewer, position = AudioViewer(policy, samples, raw if bank else None), torch.arange(len(x))
    return lambda: viewer.view(raw, Look(), 0, position)


class Clips(Dataset):  # type: ignore[type-arg]
    """Clips as float32 arrays under audiomentations' transforms."""

    def __init__(self, x: Tensor, samples: int):
        import audiomentations as A

        self.clips = list((x.float() / 32768).numpy())
        self.transform = A.Compose(
            [
                A.AdjustDuration(duration_samples=samples, p=1.0),
                A.AddGaussianSNR(*SNR, p=NOISE),
                A.BandStopFilter(*CENTRE, *WIDTH, p=BAND_STOP),
                A.TimeMask(*MASK, fade_duration=0.0, p=MASK_TIME),
                A.Gain(*GAIN, p=1.0),
            ]
        )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, i: int) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.transform(self.clips[i], sample_rate=RATE)))


def audiomentations(x: Tensor, samples: int, workers: int) -> Callable[[], Any]:
    """Its transforms over a DataLoader; the workers stay alive between the passes, and a pass has four batches."""
    loader = DataLoader(Clips(x, samples), batch_size=max(1, len(x) // 4), num_workers=workers, persistent_workers=workers > 0)

    def every() -> None:
        for _ in loader:
            pass

    return every


def torch_audiomentations(x: Tensor, samples: int) -> Callable[[], Any]:
    """Its transforms on the whole batch, the parameters drawn for each clip; it has no mask of time."""
    with _without_torchaudio():
        import torch_audiomentations as T
        from torch_audiomentations.augmentations.random_crop import RandomCrop

    each: dict[str, Any] = {"mode": "per_example", "p_mode": "per_example", "sample_rate": RATE, "output_type": "dict"}
    crop = RandomCrop(samples, RATE, "samples")
    rest = T.Compose(
        [
            T.AddColoredNoise(*SNR, 0.0, 2.0, p=NOISE, **each),
            T.BandStopFilter(*CENTRE, *WIDTH, p=BAND_STOP, **each),
            T.Gain(*GAIN, p=1.0, **each),
        ],
        output_type="dict",
    )
    waves = (x.float() / 32768)[:, None]
    return lambda: rest(crop(waves), sample_rate=RATE).samples


@contextmanager
def _without_torchaudio() -> Iterator[None]:
    """Lets torch-audiomentations be imported where torchaudio is not: it reads files and shifts pitch with it, which is not done here."""
    names = ("torchaudio", "torchaudio.transforms") if find_spec("torchaudio") is None else ()
    sys.modules |= {name: ModuleType(name) for name in names}
    if names:
        setattr(sys.modules[names[0]], "transforms", sys.modules[names[1]])  # noqa: B010 - a module has no such attribute
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def measure(batch: int = 256, samples: int = RATE, rounds: int = 5, seconds: float = 1.0) -> Figures:
    """Views per second of clips that are LONGER times as long as their views."""
    x = clips(batch, round(samples * LONGER))
    n = len(x)
    contestants = {
        "ipse": (n, ours(x, samples, SHARED, bank=False)),
        "ipse, its usual views": (n, ours(x, samples, AudioPolicy(), bank=True)),
    }
    absent = missing("audiomentations", "torch_audiomentations")
    if "audiomentations" not in absent:
        contestants["audiomentations, 1 process"] = n, audiomentations(x, samples, 0)
        contestants["audiomentations, 2 workers"] = n, audiomentations(x, samples, 2)
    if "torch_audiomentations" not in absent:
        contestants["torch-audiomentations, whole batch"] = n, torch_audiomentations(x, samples)
    with torch.no_grad():
        return beside(contestants, rounds, seconds, absent)


render = against

if __name__ == "__main__":
    sys.stdout.write(render(measure()) + "\n")
