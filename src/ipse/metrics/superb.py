"""SUPERB in small: one frozen encoder of speech, many tasks, each with a weighted sum of its layers and a light head."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ipse.data import Samples
from ipse.errors import UserError, unknown
from ipse.metrics.layers import FilterBank, Head, Probe, Task, fitted, pooled, states
from ipse.metrics.neighbours import labelled
from ipse.metrics.recognition import equal_error_rate, error_rate, superb_score
from ipse.metrics.spoken_terms import spoken_terms
from ipse.models.encoder import Encoder
from ipse.models.speech import FrameEncoder

_PERFECT = {"classify": 1.0, "verify": 0.0, "transcribe": 0.0, "spoken-terms": 1.0}
_STEPS, _PAIRS, _SPELLED = 200, 2000, 1000
Labels = NDArray[np.int64]


def superb(
    encoder: Encoder, train: Samples, test: Samples, classes: Sequence[str] = (), tasks: Sequence[str] = (), *, seed: int = 0
) -> dict[str, float]:
    """The score of each task, and "superb", one number for all: 0 as good as filter banks, 1000 perfect.

    tasks: classify (accuracy), verify (equal error rate), transcribe (error rate of letters), spoken-terms (term-weighted
    value); () for all. classes: what the labels mean; `transcribe` spells them, and is left out without them.

    Raises UserError for an encoder that has no frames of speech, and where the labels do not allow a task.

    Yang et al., Interspeech 2021, arXiv:2105.01051
    """
    if not isinstance(encoder, FrameEncoder):
        raise UserError(f"superb is for encoders of audio by frames, and {encoder.name!r} is none")
    if wrong := [task for task in tasks if task not in _PERFECT]:
        raise unknown("task of superb", wrong[0], _PERFECT)
    chosen = [task for task in tasks or _PERFECT if task != "transcribe" or classes]
    scores, baseline = (_scores(each, train, test, classes, chosen, seed) for each in (encoder, FilterBank(encoder.form)))
    told = [task for task in chosen if baseline[task] != _PERFECT[task]]
    one = superb_score(*({task: {task: side[task]} for task in told} for side in (scores, baseline, _PERFECT))) if told else 0.0
    return scores | {"superb": one}


def _scores(
    encoder: FrameEncoder, train: Samples, test: Samples, classes: Sequence[str], tasks: Sequence[str], seed: int
) -> dict[str, float]:
    z, z_test = pooled(encoder, train), pooled(encoder, test)
    scores: dict[str, float] = {}
    for task in tasks:
        if task == "classify":
            scores[task] = _classify(z, train.y, z_test, test.y, _STEPS, seed).score
        elif task == "verify":
            scores[task] = _verify(z_test, test.y, _PAIRS)
        elif task == "transcribe":
            fit, judge = (part.subset(np.flatnonzero(part.y >= 0)[:_SPELLED]) for part in (train, test))
            texts = ([classes[i] for i in part.y] for part in (fit, judge))
            scores[task] = transcribe(encoder, fit, judge, *texts, steps=_STEPS, seed=seed).score
        else:
            best = int(np.argmax(spoken_terms(encoder, train, queries=8, documents=40)))
            (scores[task],) = spoken_terms(encoder, test, [best])
    return scores


def classify(encoder: FrameEncoder, train: Samples, test: Samples, *, steps: int = _STEPS, seed: int = 0) -> Probe:
    """The accuracy of a linear classifier of the weighted, pooled layers: of words, intents, speakers or emotions, as the labels are.

    Samples without a label are left out. Raises UserError for fewer than two classes.
    """
    return _classify(pooled(encoder, train), train.y, pooled(encoder, test), test.y, steps, seed)


def _classify(z: Tensor, y: Labels, z_test: Tensor, y_test: Labels, steps: int, seed: int) -> Probe:
    z, known = labelled(z, torch.as_tensor(y), "superb")
    z_test, asked = labelled(z_test, torch.as_tensor(y_test), "superb")
    classes, number = known.unique(return_inverse=True)
    if len(classes) < 2:
        raise UserError("superb needs at least two classes, and all labelled training samples have the same label")
    # One scale for all of a layer: the head can do the rest, and layers stay comparable.
    mean, scale = z.mean(dim=0), z.var(dim=0, correction=0).mean(dim=1, keepdim=True).sqrt().clamp_min(1e-6)
    z, z_test = (z - mean) / scale, (z_test - mean) / scale

    def right(head: Head, x: Tensor, y: Tensor) -> float:
        return float((classes[head(x).argmax(dim=1)] == y).double().mean())

    task = Task(
        z,
        len(classes),
        loss=lambda head, rows: F.cross_entropy(head(z[rows]), number[rows]),
        score=lambda head, rows: right(head, z[rows], known[rows]),
    )
    head = fitted(task, steps=steps, batch_size=512, seed=seed)
    return Probe(right(head, z_test, asked), head.sum.weights)


def verify(encoder: FrameEncoder, samples: Samples, *, most: int = _PAIRS) -> float:
    """The equal error rate of telling, by the cosine of pooled layers, whether two samples have the same label: the same speaker.

    All pairs of at most `most` labelled samples. Nothing is trained: layers weigh the same, and are centred over the samples.
    """
    return _verify(pooled(encoder, samples), samples.y, most)


def _verify(z: Tensor, y: Labels, most: int) -> float:
    z, label = labelled(z, torch.as_tensor(y), "superb")
    chosen = torch.linspace(0, len(z) - 1, min(most, len(z))).long()
    z, label = z[chosen] - z[chosen].mean(dim=0), label[chosen]
    z = F.normalize(F.normalize(z, dim=2).mean(dim=1), dim=1)
    first, second = torch.triu_indices(len(z), len(z), offset=1)
    return equal_error_rate((z @ z.T)[first, second], label[first] == label[second])


def transcribe(
    encoder: FrameEncoder,
    train: Samples,
    test: Samples,
    train_text: Sequence[Sequence[Hashable]],
    test_text: Sequence[Sequence[Hashable]],
    *,
    steps: int = _STEPS,
    seed: int = 0,
) -> Probe:
    """The error rate of a linear layer with CTC on the weighted layers of each frame: of phones, syllables or letters.

    train_text, test_text: a transcript for each sample, a string of letters or a list of phones. The frames of all samples are
    held in half precision. Raises UserError where a transcript is missing.
    """
    if len(train_text) != len(train) or len(test_text) != len(test):
        counts = f"{len(train_text)} and {len(test_text)} for {len(train)} and {len(test)}"
        raise UserError(f"superb needs a transcript for each sample: given {counts}")
    symbols = sorted({symbol for text in train_text for symbol in text}, key=str)
    number = {symbol: i for i, symbol in enumerate(symbols, start=1)}  # 0 is CTC's blank
    texts = [torch.tensor([number[symbol] for symbol in text], dtype=torch.int64) for text in train_text]
    (x, n), (x_test, n_test) = _frames(encoder, train), _frames(encoder, test)

    def loss(head: Head, rows: Tensor) -> Tensor:
        log = head(x[rows].float()).log_softmax(dim=-1).transpose(0, 1)
        target = [texts[i] for i in rows]
        lengths = torch.tensor([len(text) for text in target])
        return F.ctc_loss(log, torch.cat(target), n[rows], lengths, zero_infinity=True)

    def wrong(head: Head, x: Tensor, n: Tensor, said: Sequence[Sequence[Hashable]]) -> float:
        best = [head(clip.float()).argmax(dim=-1)[:end].tolist() for clip, end in zip(x, n.tolist(), strict=True)]
        return error_rate([[symbols[i - 1] for i, _ in groupby(clip) if i] for clip in best], said)

    def score(head: Head, rows: Tensor) -> float:
        return -wrong(head, x[rows], n[rows], [train_text[i] for i in rows])

    task = Task(x, len(symbols) + 1, loss, score)
    head = fitted(task, steps=steps, batch_size=32, seed=seed)
    return Probe(wrong(head, x_test, n_test, test_text), head.sum.weights)


def _frames(encoder: FrameEncoder, samples: Samples) -> tuple[Tensor, Tensor]:
    """All frames of all layers (N, T, L, D) in half precision, and how many there are of each sample (N,)."""
    pieces: Any = [(layers.half(), valid.sum(dim=1)) for layers, valid in states(encoder, samples)]
    layers, counts = zip(*pieces, strict=True)
    return torch.cat(layers), torch.cat(counts)
