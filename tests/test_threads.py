"""Small work is done by one thread, and the number of threads is left as found."""

from importlib import import_module

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from skflowmix import FlowMixtureClustering, FlowMixtureDensity, threads
from skflowmix.modules.mixture import FlowMixture
from skflowmix.modules.workload import largest_product
from skflowmix.threads import one_thread, threads_for

LARGE, SMALL = 10**9, 10
X = np.random.RandomState(0).standard_normal((60, 2))
FAST = {"max_iter": 2, "n_layers": 1, "hidden_layer_sizes": (8,), "random_state": 0}


@pytest.fixture
def two_threads():
    found = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(found)


@pytest.fixture
def seen(monkeypatch):
    """The numbers of threads that flows were evaluated with."""
    numbers, evaluate = set(), FlowMixture.component_log_prob

    def watched(self, *args):
        numbers.add(torch.get_num_threads())
        return evaluate(self, *args)

    monkeypatch.setattr(FlowMixture, "component_log_prob", watched)
    return numbers


def openmp_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "openmp"]


@pytest.mark.parametrize(("work", "expected"), [(SMALL, 1), (LARGE, 2)])
def test_only_large_work_is_divided(two_threads, work, expected):
    with threads_for(work):
        assert torch.get_num_threads() == expected
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_number_of_threads_is_restored_after_errors(two_threads, error):
    with pytest.raises(error), threads_for(SMALL):
        raise error
    assert torch.get_num_threads() == 2


def test_more_threads_than_found_are_never_taken(two_threads):
    with threads_for(SMALL), threads_for(LARGE):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_the_largest_product_is_that_of_the_largest_layer(make_mixture):
    mixture = make_mixture("realnvp", n_components=3, n_features=6)
    assert largest_product(mixture, 50) == 50 * 3 * 6 * 8  # 8 hidden units, shift and scale of 3 features


@pytest.mark.parametrize("solver", ["gradient", "em"])
def test_small_fits_and_predictions_take_one_thread(two_threads, seen, solver):
    model = FlowMixtureDensity(2, solver=solver, **FAST)
    with pytest.warns(match="max_iter"):
        model.fit(X)
    model.score_samples(X)
    assert seen == {1}
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("solver", ["gradient", "em"])
def test_an_interrupted_fit_restores_the_number_of_threads(two_threads, monkeypatch, solver):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("skflowmix.training.loop.Run.iterate", interrupt)
    with pytest.warns(match="interrupted"):
        FlowMixtureDensity(2, solver=solver, **FAST).fit(X)
    assert torch.get_num_threads() == 2


def test_large_fits_take_all_threads_with_equal_results(two_threads, monkeypatch, seen):
    fits = []
    for least in (0, LARGE):
        monkeypatch.setattr(threads, "_WORTH_DIVIDING", least)
        with pytest.warns(match="max_iter"):
            fits.append(FlowMixtureDensity(2, dtype="float64", **FAST).fit(X))
    assert seen == {1, 2}
    np.testing.assert_allclose(*(fit.score_samples(X) for fit in fits), rtol=1e-8, atol=1e-8)


def test_starts_are_found_by_one_thread(two_threads, monkeypatch):
    automatic = import_module("skflowmix.partitions.automatic")
    before, during, row_costs = openmp_threads(), [], automatic.row_costs

    def watched(*args, **known):
        during.extend(openmp_threads())
        return row_costs(*args, **known)

    monkeypatch.setattr(automatic, "row_costs", watched)
    with pytest.warns(match="max_iter"):
        FlowMixtureClustering(2, **FAST).fit(X)
    assert set(during) == {1}
    assert openmp_threads() == before
    with one_thread():
        assert set(openmp_threads()) == {1}
    assert openmp_threads() == before
