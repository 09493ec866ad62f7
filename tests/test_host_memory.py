"""Many rows, in the host's memory or in a file: what is copied of them, and when."""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.bridge import device_of_rows
from skflowmix.fitting import supply

N_ROWS, N_FEATURES = 400_000, 8


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


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_a_classifier_copies_no_rows_in_a_file(method, rows_in_a_file, device):
    X = np.random.RandomState(1).normal(loc=3, size=(60, N_FEATURES))
    model = FlowMixtureClassifier(2, flow="affine", max_iter=2, device=device).fit(X, X[:, 0] > 3)
    tracemalloc.start()
    try:
        getattr(model, method)(rows_in_a_file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * rows_in_a_file.size


DRAW_A_MILLION = """
import warnings
import numpy as np
from skflowmix import FlowMixtureDensity


def peak_in_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


warnings.simplefilter("ignore")
model = FlowMixtureDensity(4, max_iter=2, device="{device}").fit(np.random.RandomState(0).normal(size=(300, 10)))
model.sample(10)
before = peak_in_mib()
X, component = model.sample(1_000_000)
assert np.isfinite(X).all() and (np.diff(component) >= 0).all()
print(peak_in_mib() - before - (X.nbytes + component.nbytes) / 2**20)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="tells a process's own peak on Linux only")
def test_a_million_rows_are_drawn_in_blocks(device):
    """Beyond the result at most 300 MiB. The peak that `getrusage` gives would begin at that of the parent process."""
    script = DRAW_A_MILLION.format(device=device)
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert -50 < float(told) < 300


@pytest.mark.parametrize(("n_bytes", "home"), [(250, "cuda"), (251, "cpu")])
def test_rows_stay_on_the_cpu_where_they_would_fill_the_gpu(n_bytes, home, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    assert device_of_rows(n_bytes, torch.device("cuda")) == torch.device(home)
    assert device_of_rows(n_bytes, torch.device("cpu")) == torch.device("cpu")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("changes", [{}, {"solver": "em"}, {"early_stopping": False}, {"posterior": "amortized"}])
@pytest.mark.parametrize("estimator", [FlowMixtureClustering, FlowMixtureClassifier])
def test_fit_of_rows_that_stay_on_the_cpu(estimator, changes, monkeypatch, device):
    asked = []

    def no_room(n_bytes, _):
        asked.append(n_bytes)
        return torch.device("cpu")

    monkeypatch.setattr(supply, "device_of_rows", no_room)
    X, y = make_blobs(90, centers=[[-3, 0], [3, 0]], random_state=0)
    small = {"flow": "realnvp", "n_layers": 2, "hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0}
    model = estimator(2, device=device, **small | changes).fit(X, y if estimator is FlowMixtureClassifier else None)
    assert asked[0] >= 4 * X.size
    assert model.mixture_.logits.device.type == device
    assert adjusted_rand_score(y, model.predict(X)) > 0.9
