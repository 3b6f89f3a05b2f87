"""A scikit-learn face."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

if TYPE_CHECKING:
    from ipse.models import Encoder as Network

Array = np.ndarray[Any, Any]


class Encoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """Learns to embed pictures from the pictures alone: `Encoder(method="simclr", minutes=2).fit(X).transform(X)`.

    X: (N, D), with rows that are square pictures where D is a square number, (N, H, W), (N, H, W, C) or (N, C, H, W). uint8 is taken as it is; other
    numbers are scaled by the range seen in `fit`. `transform` gives float32 (N, dim). y is ignored. The parameters are those of `ipse.pretrain`.
    """

    def __init__(
        self,
        method: str = "simclr",
        *,
        encoder: str = "auto",
        epochs: float | None = None,
        steps: int | None = None,
        minutes: float | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        plus: Sequence[str] = (),
        set: Mapping[str, Any] | None = None,
        views: Mapping[str, Any] | None = None,
        image_size: int | None = None,
        devices: int = 1,
        random_state: int = 0,
        verbose: bool = False,
    ):
        self.method = method
        self.encoder = encoder
        self.epochs = epochs
        self.steps = steps
        self.minutes = minutes
        self.batch_size = batch_size
        self.lr = lr
        self.plus = plus
        self.set = set
        self.views = views
        self.image_size = image_size
        self.devices = devices
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Encoder:
        """Learns from X (N, ...), N at least 4; raises ValueError for NaN and infinite values."""
        from ipse.jobs.pretrain import learn

        x = self._check(X, reset=True)
        if len(x) < 4:
            raise ValueError(f"n_samples={len(x)} is too few to learn from: at least 4 are needed")
        self.range_ = (0.0, 255.0) if x.dtype == np.uint8 else (float(x.min()), float(x.max()))
        words = {
            name: getattr(self, name)
            for name in ("method", "encoder", "epochs", "steps", "minutes", "batch_size", "lr", "image_size", "devices")
        }
        words |= {
            "plus": tuple(self.plus),
            "set": dict(self.set or {}),
            "views": dict(self.views or {}),
            "seed": int(self.random_state),
        }
        with tempfile.TemporaryDirectory() as folder:
            self.network_ = learn(self._bytes(x), Path(folder), quiet=not self.verbose, **words)
        self._n_features_out = self.network_.dim
        return self

    def transform(self, X: Any) -> Array:
        """Embeddings (N, dim) float32 of X (N, ...)."""
        check_is_fitted(self)
        from ipse.data import open_data
        from ipse.metrics.embedding import embeddings

        network: Network = self.network_
        images = open_data(self._bytes(self._check(X, reset=False)), size=network.size).train
        return np.asarray(embeddings(network, images, network.size).numpy())

    def _check(self, X: Any, *, reset: bool) -> Array:
        if np.ndim(X) > 2:
            return np.asarray(check_array(X, allow_nd=True, dtype=None))
        checked = validate_data(self, X, reset=reset, dtype="numeric")
        return np.asarray(checked)

    def _bytes(self, x: Array) -> Array:
        """The values as bytes, by the range of the data that was learned from."""
        if x.dtype == np.uint8:
            return x
        low, high = self.range_
        return np.clip((x.astype(np.float64) - low) * (255 / ((high - low) or 1.0)), 0, 255).round().astype(np.uint8)
