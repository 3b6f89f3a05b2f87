"""A scikit-learn face."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, assert_all_finite, check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ipse.errors import Interrupted

if TYPE_CHECKING:
    from torch import Tensor

    from ipse.data import Samples
    from ipse.models import Encoder as Network

Array = np.ndarray[Any, Any]

FEWEST, _ROWS = 4, 1024


class Encoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """Learns to embed samples from the samples alone: `Encoder(method="simclr", minutes=2).fit(X).transform(X)`.

    X: a pandas DataFrame is a table, of numbers, texts, dates and missing values. Arrays are what `modality` says, or by their
    shape: (N, H, W) with H = W, (N, H, W, C), (N, C, H, W) and rows (N, S * S), S >= 4, without negative numbers are pictures;
    other rows (N, D) are a table, of texts too, and (N, C, T) are series. `transform` gives float32 (N, dim). y is ignored.

    The bytes of pictures are taken as they are; other numbers are scaled by the range seen in `fit`. NaN and infinite values are
    missing values, which pictures cannot have. Of a series longer than a window the embedding is the mean over its windows.
    Columns are those of `fit`, of the same names and in the same order, as everywhere in scikit-learn.

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
        modality: str | None = None,
        size: float | None = None,
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
        self.modality = modality
        self.size = size
        self.devices = devices
        self.precision = precision
        self.compile = compile
        self.pretrained = pretrained
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Encoder:
        """Learns from X (N, ...), N at least 4; raises ValueError for pictures with NaN or infinite values, UserError for wrong parameters."""
        from ipse.jobs.pretrain import learn

        x, modality = self._checked(X, reset=True)
        if len(x) < FEWEST:
            raise ValueError(f"n_samples={len(x)} is too few to learn from: at least {FEWEST} are needed")
        self.shape_ = x.shape[1:]
        if modality == "image":
            self.range_ = (0.0, 255.0) if x.dtype == np.uint8 else (float(x.min()), float(x.max()))
        words = {name: value for name, value in self.get_params(deep=False).items() if name not in ("random_state", "verbose")}
        words |= {"modality": modality, "seed": self._seed(), "tensorboard": False}
        with tempfile.TemporaryDirectory() as folder:
            try:
                self.network_: Network = learn(self._data(x, modality), Path(folder), quiet=not self.verbose, **words)
            except Interrupted:
                raise KeyboardInterrupt from None
        self._n_features_out = self.network_.dim
        return self

    def transform(self, X: Any) -> Array:
        """Embeddings (N, dim) float32 of X (N, ...), whose samples have the shape of those in `fit`; series may have another length."""
        check_is_fitted(self)
        from ipse.data import open_data
        from ipse.data.wanted import NothingLeftError
        from ipse.metrics.embedding import embeddings

        x, modality = self._checked(X, reset=False)
        given, fitted = (shape[:-1] if modality in ("series", "audio") else shape for shape in (x.shape[1:], self.shape_))
        if given != fitted:
            raise ValueError(f"X holds samples of the shape {x.shape[1:]}, but Encoder was fitted to {self.shape_}")
        try:
            samples = open_data(self._data(x, modality), form=self.network_.form).train
        except NothingLeftError:
            return np.repeat(self._nothing().numpy(), len(x), axis=0)
        z: Array = self._one_each(samples, embeddings(self.network_, samples), len(x)).numpy()
        return z

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.allow_nan = tags.input_tags.categorical = tags.input_tags.string = True
        return tags

    def _checked(self, X: Any, *, reset: bool) -> tuple[Any, str]:
        """X as a data frame or an array of numbers, and its modality; as rows it has to have as many columns, of the same names, as in `fit`."""
        from ipse.data.sources import by_shape

        known = self.modality if reset else self.network_.form["modality"]
        if hasattr(X, "to_pandas"):
            X = X.to_pandas()
        if hasattr(X, "columns") and known in (None, "table"):
            validate_data(self, X, reset=reset, skip_check_array=True)
            return self._table(X), "table"
        rows = X if hasattr(X, "ndim") else np.asarray(X)
        if rows.ndim <= 2:
            texts = known in (None, "table") and getattr(rows.dtype, "kind", "f") in "OUS"
            x = validate_data(self, X, reset=reset, dtype=None if texts else "numeric", ensure_all_finite=False)
        else:
            for name in {"n_features_in_", "feature_names_in_"} & self.__dict__.keys() if reset else ():
                delattr(self, name)  # of an earlier fit to rows
            x = check_array(rows, allow_nd=True, dtype="numeric", ensure_all_finite=False)
        modality = known or by_shape(x)
        if modality == "image":
            assert_all_finite(x, input_name="X")
        return (self._table(x) if modality == "table" and x.ndim == 2 else x), modality

    def _table(self, x: Any) -> Any:
        """Rows as a data frame with the names of `fit`."""
        import pandas

        frame = x if hasattr(x, "columns") else pandas.DataFrame(x).infer_objects()
        return frame.set_axis([*getattr(self, "feature_names_in_", map(str, range(frame.shape[1])))], axis=1)

    def _data(self, x: Any, modality: str) -> Any:
        """X as `open_data` takes it."""
        if modality == "image":
            return self._bytes(x)
        return (x, np.zeros(len(x))) if modality == "table" else x  # with labels, no column is taken for them

    def _one_each(self, samples: Samples, z: Tensor, n: int) -> Tensor:
        """The embeddings (n, dim) of all samples from those of the windows there are, which are named by the sample's place."""
        import torch

        place = torch.tensor([int(name.partition("#")[0]) for name in samples.names])
        windows = torch.bincount(place, minlength=n)[:, None]
        mean = torch.zeros(n, z.shape[1]).index_add_(0, place, z) / windows.clamp_min(1)
        return mean if bool(windows.all()) else torch.where(windows > 0, mean, self._nothing())

    def _nothing(self) -> Tensor:
        """The embedding (1, dim) of a sample of which nothing is known."""
        import torch

        from ipse.data.form import shape

        with torch.no_grad():
            z: Tensor = self.network_(torch.full((1, *shape(self.network_.form)), torch.nan))
        return z

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
