"""A scikit-learn face."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ipse.errors import Interrupted

if TYPE_CHECKING:
    from ipse.models import Encoder as Network

Array = np.ndarray[Any, Any]

FEWEST, _ROWS = 4, 1024


class Encoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """Learns to embed pictures from the pictures alone: `Encoder(method="simclr", minutes=2).fit(X).transform(X)`.

    X: (N, D), with rows that are square pictures where D is a square number, (N, H, W), (N, H, W, C) or (N, C, H, W). uint8 is
    taken as it is; other numbers are scaled by the range seen in `fit`. `transform` gives float32 (N, dim). y is ignored.

    The parameters are those of `ipse.pretrain`, but for random_state, which is its seed, and verbose, which shows its progress bar.
    After `fit`, `network_` is the encoder, a torch module.
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
        optimizer: str | None = None,
        weight_decay: float | None = None,
        clip: float | None = None,
        schedule: str = "cosine",
        plus: Sequence[str] = (),
        set: Sequence[str] | Mapping[str, Any] = (),
        views: Sequence[str] | Mapping[str, Any] = (),
        image_size: int | None = None,
        devices: int = 1,
        precision: str = "auto",
        compile: bool = False,
        pretrained: bool = False,
        random_state: int | np.random.RandomState | None = 0,
        verbose: bool = False,
    ):
        self.method = method
        self.encoder = encoder
        self.epochs = epochs
        self.steps = steps
        self.minutes = minutes
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.clip = clip
        self.schedule = schedule
        self.plus = plus
        self.set = set
        self.views = views
        self.image_size = image_size
        self.devices = devices
        self.precision = precision
        self.compile = compile
        self.pretrained = pretrained
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Encoder:
        """Learns from X (N, ...), N at least 4; raises ValueError for NaN and infinite values, UserError for wrong parameters."""
        from ipse.jobs.pretrain import learn

        x = self._checked(X, reset=True)
        if len(x) < FEWEST:
            raise ValueError(f"n_samples={len(x)} is too few to learn from: at least {FEWEST} are needed")
        self.shape_ = x.shape[1:]
        self.range_ = (0.0, 255.0) if x.dtype == np.uint8 else (float(x.min()), float(x.max()))
        words = {name: value for name, value in self.get_params(deep=False).items() if name not in ("random_state", "verbose")}
        with tempfile.TemporaryDirectory() as folder:
            try:
                self.network_: Network = learn(
                    self._bytes(x), Path(folder), quiet=not self.verbose, seed=self._seed(), tensorboard=False, **words
                )
            except Interrupted:
                raise KeyboardInterrupt from None
        self._n_features_out = self.network_.dim
        return self

    def transform(self, X: Any) -> Array:
        """Embeddings (N, dim) float32 of X (N, ...), whose pictures have the shape of those in `fit`."""
        check_is_fitted(self)
        from ipse.data import open_data
        from ipse.metrics.embedding import embeddings

        x = self._checked(X, reset=False)
        if x.shape[1:] != self.shape_:
            raise ValueError(f"X holds pictures of the shape {x.shape[1:]}, but Encoder was fitted to {self.shape_}")
        size = self.network_.size
        return embeddings(self.network_, open_data(self._bytes(x), size=size).train, size).numpy()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def _checked(self, X: Any, *, reset: bool) -> Array:
        """X as an array of finite numbers; as rows it has to have as many columns, of the same names, as in `fit`."""
        rows = X if hasattr(X, "ndim") else np.asarray(X)
        if rows.ndim <= 2:
            checked: Array = validate_data(self, X, reset=reset, dtype="numeric")
            return checked
        if reset:
            for name in {"n_features_in_", "feature_names_in_"} & self.__dict__.keys():
                delattr(self, name)  # of an earlier fit to rows
        pictures: Array = check_array(rows, allow_nd=True, dtype="numeric")
        return pictures

    def _seed(self) -> int:
        if isinstance(self.random_state, Integral):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _bytes(self, x: Array) -> Array:
        """The values as bytes, by the range of the data that was learned from."""
        low, high = self.range_
        if x.dtype == np.uint8 and (low, high) == (0, 255):
            return x
        scaled = np.empty(x.shape, np.uint8)
        for start in range(0, len(x), _ROWS):
            part = x[start : start + _ROWS].astype(np.float64)
            scaled[start : start + _ROWS] = np.clip((part - low) * (255 / ((high - low) or 1.0)), 0, 255).round()
        return scaled
