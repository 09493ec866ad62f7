"""Many rows, in the host's memory or in a file: what is copied of them, and when."""

import tracemalloc

import numpy as np
import pytest

from skflowmix import FlowMixtureDensity

N_ROWS, N_FEATURES = 100_000, 8


@pytest.fixture(scope="module")
def rows_in_a_file(tmp_path_factory):
    shape, path = (N_ROWS, N_FEATURES), tmp_path_factory.mktemp("rows") / "rows.float32"
    np.random.RandomState(0).normal(size=shape).astype(np.float32).tofile(path)
    return np.memmap(path, dtype=np.float32, mode="r", shape=shape)


@pytest.fixture
def model(device):
    X = np.random.RandomState(1).normal(loc=3, size=(60, N_FEATURES))
    return FlowMixtureDensity(2, flow="affine", max_iter=2, tol=1e9, n_iter_no_change=1, device=device).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["score_samples", "predict"])
def test_rows_in_a_file_are_evaluated_without_a_copy_of_them(method, rows_in_a_file, model):
    tracemalloc.start()
    try:
        result = getattr(model, method)(rows_in_a_file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    a_copy_in_double_precision = 8 * rows_in_a_file.size
    assert peak < a_copy_in_double_precision
    np.testing.assert_array_equal(result, getattr(model, method)(np.array(rows_in_a_file, dtype=np.float64)))
