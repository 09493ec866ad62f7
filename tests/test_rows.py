"""The rows that a fit learns from."""

import numpy as np
import pytest

from skflowmix.fitting.rows import merge_repeated_rows, nearest_neighbors, validation_splits


def test_merging_adds_the_weights_of_equal_rows_with_equal_labels():
    X = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0], [1.0, 2.0]])
    data = merge_repeated_rows(X, np.array([0, -1, 0, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(data.X, [[0, 1], [1, 2], [1, 2]])
    np.testing.assert_array_equal(data.codes, [-1, 0, 1])
    np.testing.assert_array_equal(data.weight, [2, 4, 4])


def test_merging_averages_responsibilities_by_weight():
    X, resp = np.zeros((2, 1)), np.array([[1.0, 0.0], [0.0, 1.0]])
    data = merge_repeated_rows(X, np.array([-1, -1]), np.array([1.0, 3.0]), resp)
    np.testing.assert_allclose(data.resp, [[0.25, 0.75]])


def test_merged_rows_stand_in_the_order_of_their_features_and_code():
    rng = np.random.RandomState(0)
    X, codes = rng.randint(-2, 3, size=(300, 3)) / 2.0, rng.randint(-1, 2, size=300)
    weight = rng.uniform(1, 2, size=300)
    data = merge_repeated_rows(X, codes, weight)
    distinct, inverse = np.unique(np.column_stack([X, codes]), axis=0, return_inverse=True)
    np.testing.assert_array_equal(np.column_stack([data.X, data.codes]), distinct)
    np.testing.assert_allclose(data.weight, np.bincount(inverse.ravel(), weight), rtol=1e-12)


def test_validation_split_takes_a_share_of_every_class():
    codes = np.repeat([-1, 0, 1], [100, 50, 5])
    [(training, validation)] = validation_splits(codes, 0.2, 1, np.random.RandomState(0))
    np.testing.assert_array_equal(np.sort([*training, *validation]), np.arange(155))
    np.testing.assert_array_equal(np.bincount(codes[validation] + 1), [20, 10, 1])


def test_splits_hold_out_other_rows_until_all_rows_have_been_held_out():
    codes = np.repeat([-1, 0], [40, 22])
    splits = validation_splits(codes, 0.1, 12, np.random.RandomState(0))
    for training, validation in splits:
        np.testing.assert_array_equal(np.sort([*training, *validation]), np.arange(62))
        np.testing.assert_array_equal(np.bincount(codes[validation] + 1), [4, 2])
    held_out = np.bincount(np.concatenate([validation for _, validation in splits]), minlength=62)
    assert held_out.min() == 1
    assert held_out.max() == 2


def test_few_rows_leave_nothing_for_validation():
    [(training, validation)] = validation_splits(np.full(5, -1), 0.1, 1, np.random.RandomState(0))
    assert len(training) == 5
    assert len(validation) == 0


def test_neighbors_are_the_nearest_rows_of_the_same_class():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(60, 3)), np.repeat([-1, 0], 30)
    neighbors, scale = nearest_neighbors(X, codes, np.random.RandomState(0))
    assert scale == 1
    for row, found in enumerate(neighbors):
        distance = np.where(codes == codes[row], np.linalg.norm(X - X[row], axis=1), np.inf)
        np.testing.assert_array_equal(np.sort(found), np.sort(np.argsort(distance)[1:6]))


@pytest.mark.parametrize("n_rows", [1, 2, 4])
def test_neighbors_of_few_rows_repeat(n_rows):
    neighbors, _ = nearest_neighbors(np.arange(n_rows)[:, None] * 1.0, np.full(n_rows, -1), np.random.RandomState(0))
    for row, found in enumerate(neighbors):
        assert set(found) == (set(range(n_rows)) - {row} or {0})


def test_neighbors_of_many_rows_are_sought_in_parts():
    X = np.random.default_rng(0).normal(size=(20_001, 2))
    neighbors, scale = nearest_neighbors(X, np.full(len(X), -1), np.random.RandomState(0))
    assert scale == pytest.approx(3**-0.5)
    distance = np.linalg.norm(X[neighbors] - X[:, None], axis=2)
    assert np.median(distance) < 0.1
    assert (neighbors != np.arange(len(X))[:, None]).all()
