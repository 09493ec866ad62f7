"""How rows are blurred in training."""

import numpy as np
import pytest
import torch

from skflowmix.fitting.row_noise import independent_share, own_noise
from skflowmix.modules import FlowMixture, Normal, make_flow
from skflowmix.training import LikelihoodObjective, RowBatches, Rows


def share_of(X, seed=0):
    return independent_share((X - X.mean(0)) / np.where(X.std(0) > 0, X.std(0), 1), np.random.RandomState(seed))


@pytest.mark.parametrize("seed", range(3))
def test_many_rows_that_tell_how_features_depend_on_each_other_are_blurred_along_them_alone(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3000, 2))
    sheet = np.column_stack([x, x.sum(1) + np.sin(2 * x[:, 0]) + 1e-3 * rng.normal(size=3000)])
    assert share_of(sheet, seed) == 0


@pytest.mark.parametrize("seed", range(3))
def test_few_rows_of_many_features_are_blurred_in_every_feature(seed):
    X = np.random.default_rng(seed).normal(size=(100, 12))
    assert share_of(X, seed) == 0.1


def test_collinear_features_are_blurred_less_than_independent_ones():
    rng = np.random.default_rng(0)
    independent = rng.normal(size=(300, 10))
    collinear = independent[:, :3] @ rng.normal(size=(3, 10)) + 0.1 * independent
    assert share_of(collinear) < share_of(independent)


@pytest.mark.parametrize(
    "X",
    [
        np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0]]),
        np.arange(50.0)[:, None],
        np.column_stack([np.arange(40.0), np.zeros(40)]),
        np.column_stack([np.arange(40.0) % 3, np.arange(40.0) // 3]),
        np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [1e3, 1e3]]),
    ],
    ids=["three rows", "one feature", "constant", "grid", "far away"],
)
def test_any_rows_have_a_share(X):
    with np.errstate(all="raise", under="ignore"):
        assert 0 <= share_of(X) <= 0.1


def test_own_noise_is_as_large_as_the_differences_to_the_neighbors():
    X = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    np.testing.assert_allclose(
        own_noise(X, np.array([[1, 2], [0, 0], [0, 1]])), [[4.5**0.5, 8**0.5], [3, 0], [4.5**0.5, 4]]
    )


def test_each_row_of_a_batch_has_noise_of_its_own_size():
    noise = torch.tensor([[[0.0, 1.0], [0.5, 0.0]], [[3.0, 0.0], [0.0, 0.2]]])
    generator = torch.Generator().manual_seed(0)
    batches = RowBatches(Rows(torch.zeros(2, 2, 2), torch.ones(2, 2)), own_noise=noise, generator=generator)
    stack = FlowMixture(make_flow("affine", 2, 2), Normal(2, 2), 1, n_restarts=2)
    of_iteration = batches.open(stack, LikelihoodObjective())
    drawn = torch.cat([torch.stack([batch.x for batch in of_iteration(i)]) for i in range(60)])
    drawn = drawn.gather(1, drawn[:, :, :1, 1:].abs().argsort(1).expand_as(drawn))
    torch.testing.assert_close(drawn.std(0), noise.flip(0), rtol=0.1, atol=0)
