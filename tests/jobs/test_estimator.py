"""The scikit-learn face passes scikit-learn's own checks, and does what its users expect."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import ipse
from ipse.errors import Interrupted, UserError
from ipse.jobs import pretrain as job

SMALL: dict[str, Any] = {"steps": 2, "encoder": "small_conv", "set": {"hidden": 16, "width": 8}}


def small(**words: Any) -> ipse.Encoder:
    return ipse.Encoder(**SMALL | words)


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """60 digits (60, 64) with values 0 to 16, and which they are."""
    x, y = load_digits(return_X_y=True)
    return x[:60], y[:60]


@pytest.fixture(scope="module")
def fitted(digits: tuple[np.ndarray, np.ndarray]) -> ipse.Encoder:
    return small().fit(digits[0])


@parametrize_with_checks([small()])
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_parameters_are_those_of_pretrain() -> None:
    usual = {p.name: p.default for p in inspect.signature(job.pretrain).parameters.values()}
    own = {p.name: p.default for p in inspect.signature(ipse.Encoder).parameters.values()}
    assert usual.pop("seed") == own.pop("random_state")
    assert own.pop("verbose") is False
    left_out = {"data", "labels", "out", "resume", "tensorboard", "quiet", "watch"}
    assert own == {name: default for name, default in usual.items() if name not in left_out}


def test_in_a_pipeline_and_a_grid_search(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    model = make_pipeline(small(), LogisticRegression(max_iter=50))
    search = GridSearchCV(model, {"encoder__method": ["simclr", "dcl"]}, cv=2, error_score="raise").fit(x, y % 2)
    assert search.best_params_["encoder__method"] in ("simclr", "dcl")
    assert search.predict(x[:7]).shape == (7,)


def test_clone_and_pickle(digits: tuple[np.ndarray, np.ndarray], fitted: ipse.Encoder) -> None:
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "network_")
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(digits[0]), fitted.transform(digits[0]))


def test_columns_of_a_data_frame(digits: tuple[np.ndarray, np.ndarray], fitted: ipse.Encoder) -> None:
    pandas = pytest.importorskip("pandas")
    table = clone(fitted).set_output(transform="pandas").fit(digits[0]).transform(digits[0])
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == list(fitted.get_feature_names_out()) == [f"encoder{i}" for i in range(fitted.network_.dim)]
    np.testing.assert_array_equal(table.to_numpy(), fitted.transform(digits[0]))


def test_rows_and_pictures_are_the_same(digits: tuple[np.ndarray, np.ndarray], fitted: ipse.Encoder) -> None:
    x = digits[0]
    z = fitted.transform(x)
    assert z.dtype == np.float32
    for pictures in (x.reshape(-1, 8, 8), x.reshape(-1, 8, 8, 1), x.reshape(-1, 1, 8, 8), torch.tensor(x).view(-1, 8, 8)):
        encoder = small().fit(pictures)
        np.testing.assert_array_equal(encoder.transform(pictures), z)
        with pytest.raises(ValueError, match=r"X holds pictures of the shape .*, but Encoder was fitted to"):
            encoder.transform(pictures[..., :-1])


@pytest.mark.parametrize("last", [False, True])
def test_colour_of_either_kind(pictures: np.ndarray, last: bool) -> None:
    x = pictures[:20].transpose(0, 2, 3, 1) if last else pictures[:20]
    encoder = small(batch_size=8).fit(x)
    z = encoder.transform(x)
    with torch.no_grad():
        expected = encoder.network_(torch.tensor(pictures[:20]) / 127.5 - 1)
    np.testing.assert_allclose(z, expected.numpy(), atol=1e-5)
    np.testing.assert_array_equal(encoder.transform(x.astype(np.float64)), z)  # whole numbers, whatever their type
    np.testing.assert_array_equal(encoder.transform(x.astype(np.int64)[:3]), z[:3])


def test_numbers_are_scaled_by_the_range_that_was_learned_from(
    digits: tuple[np.ndarray, np.ndarray], fitted: ipse.Encoder
) -> None:
    x = digits[0]
    assert fitted.range_ == (0, 16)
    z = small().fit(x * 3 - 7).transform((x * 3 - 7)[:5])  # a part of the data is scaled like the whole
    np.testing.assert_array_equal(z, fitted.transform(x[:5]))
    np.testing.assert_array_equal(fitted.transform(x.astype(np.uint8)), fitted.transform(x))
    np.testing.assert_array_equal(fitted.transform(x.astype(np.float32)), fitted.transform(x))
    assert np.isfinite(small().fit(np.ones((8, 64))).transform(np.ones((2, 64)))).all()


def test_random_state(digits: tuple[np.ndarray, np.ndarray], fitted: ipse.Encoder) -> None:
    x, before = digits[0], fitted.transform(digits[0])
    global_state = torch.random.get_rng_state()
    np.testing.assert_array_equal(small(random_state=np.int64(0)).fit(x).transform(x), before)
    assert not np.array_equal(small(random_state=1).fit(x).transform(x), before)
    assert torch.equal(torch.random.get_rng_state(), global_state)
    a, b = (small(random_state=np.random.RandomState(3)).fit_transform(x) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    a, b = (small(random_state=None).fit_transform(x) for _ in range(2))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("shape", [(20, 64), (20, 8, 8), (20, 3, 8, 8)])
def test_values_that_are_not_finite(fitted: ipse.Encoder, value: float, shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    x[3, 2] = value
    with pytest.raises(ValueError, match="NaN|infinity"):
        small().fit(x)
    with pytest.raises(ValueError, match="NaN|infinity"):
        fitted.transform(x)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"method": "simclt"}, "did you mean 'simclr'"),
        ({"encoder": "resnet19"}, "did you mean 'resnet18"),
        ({"set": {"temprature": 1}}, "did you mean 'temperature'"),
        ({"set": ["temperature=warm"]}, "takes a number"),
        ({"plus": "ldrag"}, "did you mean 'ldreg'"),
        ({"views": {"flop": 1}}, "did you mean 'flip'"),
        ({"steps": 0}, "more than 0"),
        ({"batch_size": 100}, "60 samples"),
        ({"precision": "fp8"}, "fp32 or bf16"),
    ],
)
def test_wrong_parameters(digits: tuple[np.ndarray, np.ndarray], words: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected) as error:
        small(**words).fit(digits[0])
    assert isinstance(error.value, ValueError)


def test_ctrl_c_is_ctrl_c(digits: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise Interrupted(130)

    monkeypatch.setattr(job, "learn", stopped)
    with pytest.raises(KeyboardInterrupt):
        small().fit(digits[0])
