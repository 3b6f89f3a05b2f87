"""What claims about speech are written with: recordings with several labels, frames with those of their clip, noisy copies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ipse.claims.harness.kit import drawn

if TYPE_CHECKING:
    from torch import Tensor

    from ipse import Run
    from ipse.data import Data, Samples
    from ipse.models import Encoder
    from ipse.models.speech import FrameEncoder

_INITIALS = "ㄅㄆㄇㄈㄉㄊㄋㄌㄍㄎㄏㄐㄑㄒㄓㄔㄕㄖㄗㄘㄙ"


def recordings(name: str, train: int, test: int, seed: int, *labels: str, size: float | None = None) -> list[Data]:
    """Recordings of a data set by its name, the same ones once for each of the labels, as `pictures` draws them.

    labels: columns of the data set's table; of Mandarin syllables `initial` and `final` too, the two halves of how they are
    written. size: seconds of the windows.
    """
    from ipse.data import open_data

    halves: dict[str, Callable[[str], str]] = {"initial": initial, "final": final}
    found = []
    for label in labels:
        data = open_data(name, labels="syllable" if label in halves else label, size=size)
        found.append(drawn(_renamed(data, halves[label]) if label in halves else data, train, test, seed))
    return found


def syllables(seed: int, *labels: str, train: int = 1000, test: int = 600) -> list[Data]:
    """Windows of 0.4 s of Mandarin syllables, as `recordings` draws them."""
    return recordings("mandarin-syllables", train, test, seed, *labels, size=0.4)


def small_transformer(method: str, *, depth: int = 3, **settings: Any) -> dict[str, Any]:
    """Words of `pretrained`: a mel_transformer of width 96 that learns from batches of 32 at lr 1e-3, with a method's settings."""
    options = {"width": 96, "depth": depth, "n_mels": 40}
    return {"method": method, "encoder": "mel_transformer", "options": options, "batch_size": 32, "lr": 1e-3, "set": settings}


def initial(syllable: str) -> str:
    """What a Mandarin syllable begins with, in zhuyin; nothing where that is a vowel.

    >>> initial("ㄅㄧㄢ4"), initial("ㄢ")
    ('ㄅ', '')
    """
    return syllable[:1] if syllable[:1] in _INITIALS else ""


def final(syllable: str) -> str:
    """What follows in a Mandarin syllable, in zhuyin without its tone; nothing where that is not written.

    >>> final("ㄅㄧㄢ4"), final("ㄙ")
    ('ㄧㄢ', '')
    """
    return syllable.rstrip("012345")[len(initial(syllable)) :]


def frames(encoder: Encoder, samples: Samples, of: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """All frames of sound of samples and the label of each one's clip: (M, D) and int64 (M,).

    of: gives (B, N, D) or (B, N) of waves (B, T); by default what the encoder's last layer does.
    """
    import torch

    from ipse.metrics.embedding import originals
    from ipse.models.speech import FrameEncoder

    assert isinstance(encoder, FrameEncoder)
    rows, labels = [], []
    with torch.no_grad():
        for index, x in originals(encoder, samples, 256):
            valid = encoder.valid(x)
            rows.append((of or encoder.dense)(x)[valid])
            labels.append(torch.from_numpy(samples.y)[index][:, None].expand_as(valid)[valid])
    return torch.cat(rows), torch.cat(labels)


def read(model: Run | Encoder, data: Data) -> float:
    """The accuracy of a linear probe of the weighted layers, fitted to the training part and scored on the test part."""
    from ipse.metrics.superb import classify

    encoder, test = _frozen(model, data)
    return classify(encoder, data.train, test).score


def confused(model: Run | Encoder, data: Data) -> float:
    """The equal error rate of telling whether two clips of the test part have the same label, by all layers."""
    from ipse.metrics.superb import verify

    return verify(*_frozen(model, data))


def _frozen(model: Run | Encoder, data: Data) -> tuple[FrameEncoder, Samples]:
    from ipse import Run
    from ipse.models.speech import FrameEncoder

    encoder = model.encoder if isinstance(model, Run) else model
    assert isinstance(encoder, FrameEncoder)
    assert data.test is not None
    return encoder, data.test


def heard_in_noise(model: Run | Encoder, data: Data, decibels: float) -> float:
    """The accuracy of a linear probe that was fitted to clips as they are and is scored on clips with noise at so many dB."""
    import torch

    from ipse.metrics.embedding import embeddings
    from ipse.metrics.linear import linear_probe
    from ipse.transforms import Look, viewer

    encoder, test = _frozen(model, data)
    encoder.eval()
    off = {"speed": (1, 1), "gain": (0, 0), "mix": 0, "reverb": 0, "band_stop": 0, "mask_time": 0, "crop": (1, 1)}
    eye = viewer(encoder.form, off | {"noise": 1, "noise_snr": (decibels, decibels)})
    index = torch.arange(len(test))
    with torch.no_grad():
        z = torch.cat([encoder(eye.view(test.read(part), Look(), 0, part).x) for part in index.split(256)])
    y, y_test = (torch.from_numpy(part.y) for part in (data.train, test))
    return linear_probe(embeddings(encoder, data.train), y, z, y_test)


def _renamed(data: Data, name: Callable[[str], str]) -> Data:
    """The data with its classes merged under other names."""
    import numpy as np

    classes = sorted({name(each) for each in data.classes})
    number = np.array([*(classes.index(name(each)) for each in data.classes), -1])
    train, test = (part and part.relabelled(number[part.y]) for part in (data.train, data.test))
    assert train is not None
    return replace(data, train=train, test=test, classes=tuple(classes))
