import numpy as np
import pytest

from ipse.reports.embedding_map import embedding_map, neighbours


@pytest.fixture
def clusters():
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((3, 60))
    return np.repeat(centers, 20, axis=0) + 0.1 * rng.standard_normal((60, 60)), np.repeat(np.arange(3), 20)


def test_what_is_similar_lies_close(clusters):
    z, y = clusters
    points = embedding_map(z)
    assert points.shape == (60, 2)
    distance = np.linalg.norm(points[:, None] - points[None], axis=-1) + np.diag(np.full(60, np.inf))
    assert (y[distance.argmin(axis=1)] == y).all()


def test_same_map_for_same_seed_and_for_any_length_of_the_rows(clusters):
    z, _ = clusters
    first = embedding_map(z, seed=3)
    np.testing.assert_array_equal(first, embedding_map(z.copy(), seed=3))
    np.testing.assert_array_equal(first, embedding_map(4 * z, seed=3))  # a power of two: no bit of the directions changes


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("dim", [1, 2, 80])
def test_few_samples(n, dim):
    points = embedding_map(np.random.default_rng(0).standard_normal((n, dim)))
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()


def test_constant_and_repeated_embeddings():
    np.testing.assert_array_equal(embedding_map(np.ones((50, 8))), np.zeros((50, 2)))
    np.testing.assert_array_equal(embedding_map(np.zeros((50, 8))), np.zeros((50, 2)))
    two = embedding_map(np.repeat(np.eye(8)[:2], 25, axis=0))
    assert np.isfinite(two).all()
    assert not np.allclose(two[0], two[-1])


def test_rows_that_are_not_finite_have_no_place(clusters):
    z, _ = clusters
    z[[4, 9], 0] = np.nan, np.inf
    points = embedding_map(z)
    assert np.isnan(points[[4, 9]]).all()
    assert np.isfinite(np.delete(points, [4, 9], axis=0)).all()


def test_neighbours_by_hand():
    z = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0], [-5.0, 0.0], [0.0, 0.0]])
    index, similarity = neighbours(z, np.array([0, 2]), k=3)
    assert index.tolist() == [[2, 1, 4], [1, 0, 4]]  # 1 and 4 are equally far from 0: the lower one first
    np.testing.assert_allclose(similarity, [[0.6, 0, 0], [0.8, 0.6, 0]], atol=1e-6)


def test_neighbours_leave_out_the_query_itself_but_not_its_copies():
    index, similarity = neighbours(np.ones((3, 4)), np.array([1]), k=10)
    assert index.tolist() == [[0, 2]]
    np.testing.assert_allclose(similarity, [[1, 1]], atol=1e-6)
    assert (similarity <= 1).all()


def test_neighbours_of_a_single_sample_and_of_one_that_is_not_finite():
    assert neighbours(np.ones((1, 4)), np.array([0]), k=5)[0].shape == (1, 0)
    index, similarity = neighbours(np.array([[1.0, 1.0], [np.nan, 0.0], [2.0, 2.0]]), np.array([0]), k=2)
    assert index.tolist() == [[2, 1]]
    np.testing.assert_allclose(similarity, [[1, 0]], atol=1e-6)
