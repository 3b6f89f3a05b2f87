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

SMALL: dict[str, Any] = {"steps": 2, "set": {"hidden": 16, "width": 8}}


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
        with pytest.raises(ValueError, match=r"X holds samples of the shape .*, but Encoder was fitted to"):
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
    z = small(modality="image").fit(x * 3 - 7).transform((x * 3 - 7)[:5])  # a part of the data is scaled like the whole
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


@pytest.mark.parametrize(
    ("shape", "value"),
    [((20, 64), np.inf), ((20, 8, 8), np.nan), ((20, 8, 8), np.inf), ((20, 3, 8, 8), np.nan), ((20, 3, 8, 8), np.inf)],
)
def test_values_that_are_not_finite(fitted: ipse.Encoder, value: float, shape: tuple[int, ...]) -> None:
    x = np.zeros(shape)
    x[3, 2] = value
    with pytest.raises(ValueError, match="NaN|infinity"):
        small().fit(x)
    with pytest.raises(ValueError, match="NaN|infinity"):
        fitted.transform(x)


@pytest.fixture(scope="module")
def customers() -> Any:
    """40 rows of numbers, texts, dates, truths, codes and gaps, with a column that is called like a label."""
    import pandas

    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "age": rng.normal(40, 10, 40),
            "target": rng.normal(size=40),
            "colour": rng.choice(["red", "green", "blue"], 40),
            "since": pandas.Timestamp("2020-01-01") + pandas.to_timedelta(rng.integers(0, 1000, 40), "D"),
            "member": rng.random(40) < 0.5,
            "size": pandas.Categorical(rng.choice(["S", "M", "L"], 40)),
        }
    )
    frame.loc[::7, "age"] = np.nan
    frame.loc[3::5, "colour"] = None
    return frame


def test_a_data_frame_is_a_table(customers: Any) -> None:
    encoder = small().fit(customers)
    assert [column["name"] for column in encoder.network_.form["columns"]] == list(customers.columns)
    assert list(encoder.feature_names_in_) == list(customers.columns)
    z = encoder.transform(customers)
    assert (z.shape, z.dtype) == ((40, encoder.network_.dim), np.float32)
    assert len(encoder.get_feature_names_out()) == z.shape[1]
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_allclose(encoder.transform(customers.iloc[order]), z[order], atol=1e-6)
    np.testing.assert_allclose(encoder.transform(customers.assign(size=customers["size"].astype(str))), z, atol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(customers), z)
    np.testing.assert_array_equal(clone(encoder).fit(customers, customers["target"]).transform(customers), z)  # y is ignored
    other = customers[:3].assign(colour=["pink", "red", None])
    np.testing.assert_allclose(encoder.transform(other)[0], encoder.transform(customers[:3].assign(colour=None))[0], atol=1e-6)


def test_columns_are_checked_by_name(customers: Any) -> None:
    encoder = small().fit(customers)
    with pytest.raises(ValueError, match="same order"):
        encoder.transform(customers[customers.columns[::-1]])
    with pytest.raises(ValueError, match=r"yet now missing:\n- member"):
        encoder.transform(customers.drop(columns="member"))
    with pytest.raises(ValueError, match=r"unseen at fit time:\n- extra"):
        encoder.transform(customers.assign(extra=1.0))


def test_every_row_has_an_embedding(customers: Any) -> None:
    encoder = small().fit(customers)
    z = encoder.transform(customers)
    empty = customers.copy().astype(object)
    empty.iloc[[0, 5]] = None
    there = encoder.transform(empty)
    np.testing.assert_allclose(np.delete(there, [0, 5], 0), np.delete(z, [0, 5], 0), atol=1e-6)
    assert np.isfinite(there).all()
    np.testing.assert_allclose(encoder.transform(empty.iloc[[5]]), there[[0]], atol=1e-6)


def test_rows_of_numbers_and_texts_are_a_table(customers: Any) -> None:
    numbers = np.random.default_rng(0).normal(size=(30, 5)) * 1e6
    numbers[::4, 1], numbers[3, 2] = np.nan, np.inf
    encoder = small().fit(numbers)
    assert encoder.network_.form["modality"] == "table"
    assert [c["mean"] for c in encoder.network_.form["columns"]] == pytest.approx(
        np.nanmean(np.where(np.isinf(numbers), np.nan, numbers), 0).tolist()  # not squeezed to bytes before
    )
    assert np.isfinite(encoder.transform(numbers)).all()
    texts = small().fit(customers.to_numpy(object))
    assert [bool(c["categories"]) for c in texts.network_.form["columns"]] == [False, False, True, False, True, True]
    np.testing.assert_allclose(
        texts.transform(customers.to_numpy(object)), small().fit(customers).transform(customers), atol=1e-5
    )


def test_series(customers: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3, 40)).cumsum(2)
    x[2, 1, 5:9], x[4, :, 30:] = np.nan, np.nan
    encoder = small().fit(x)
    form = encoder.network_.form
    assert (form["modality"], form["channels"], form["length"]) == ("series", 3, 40)
    z = encoder.transform(x)
    assert np.isfinite(z).all()
    np.testing.assert_allclose(encoder.transform(x[::-1])[::-1], z, atol=1e-5)
    np.testing.assert_allclose(encoder.transform(x[:, :, :30])[4], z[4], atol=1e-5)  # NaN behind the end is no series
    long = np.concatenate([x[:6], x[6:12]], 2)  # two windows
    np.testing.assert_allclose(encoder.transform(long)[5], (z[5] + z[11]) / 2, atol=1e-5)
    x[7] = np.nan
    np.testing.assert_allclose(np.delete(encoder.transform(x), 7, 0), np.delete(z, 7, 0), atol=1e-5)
    assert np.isfinite(encoder.transform(x)).all()
    with pytest.raises(ValueError, match="fitted to"):
        encoder.transform(x[:, :2])
    flat = small(modality="series").fit(x[:, 0])
    assert (flat.network_.form["channels"], flat.transform(x[:, 0]).shape) == (1, (20, flat.network_.dim))
    waves = small(modality="audio").fit(rng.normal(size=(6, 8000)) / 4)
    assert waves.transform(np.zeros((2, 8000))).shape == (2, waves.network_.dim)  # silent


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
