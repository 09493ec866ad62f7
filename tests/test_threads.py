"""Everything is done by one thread, and the numbers of threads are left as found."""

import threading

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_info

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.modules.mixture import FlowMixture
from skflowmix.partitions import judge
from skflowmix.threads import one_thread, one_torch_thread, set_for_good

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
    numbers = set()

    def watch(name):
        evaluate = getattr(FlowMixture, name)

        def watched(self, *args, **kwargs):
            numbers.add(torch.get_num_threads())
            return evaluate(self, *args, **kwargs)

        monkeypatch.setattr(FlowMixture, name, watched)

    for name in ("component_log_prob", "sample"):
        watch(name)
    return numbers


def pool_sizes():
    """The numbers of threads of OpenMP's and BLAS's pools in this process."""
    return [library["num_threads"] for library in threadpool_info()]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_number_of_threads_is_restored_after_errors(two_threads, error):
    def fail():
        assert torch.get_num_threads() == 1
        raise error

    with pytest.raises(error), one_torch_thread():
        fail()
    assert torch.get_num_threads() == 2


def test_a_context_within_a_context_leaves_the_number_to_the_outer_one(two_threads):
    with one_torch_thread():
        with one_torch_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("context", [one_torch_thread, one_thread])
def test_contexts_that_overlap_restore_what_the_first_one_found(two_threads, context):
    """The first that comes leaves first, while the second is still inside."""
    second_is_in, first_is_out = threading.Event(), threading.Event()

    def second():
        with context():
            second_is_in.set()
            assert first_is_out.wait(60)

    other = threading.Thread(target=second)
    with context():
        other.start()
        assert second_is_in.wait(60)
    first_is_out.set()
    other.join()
    assert torch.get_num_threads() == 2
    number = []
    newcomer = threading.Thread(target=lambda: number.append(torch.get_num_threads()))
    newcomer.start()
    newcomer.join()
    assert number == [2]


@pytest.mark.parametrize("solver", ["gradient", "em"])
def test_fits_and_predictions_take_one_thread(two_threads, seen, solver):
    model = FlowMixtureDensity(2, solver=solver, **FAST)
    with pytest.warns(match="max_iter"):
        model.fit(X)
    model.score_samples(X)
    model.sample(5)
    assert seen == {1}
    assert torch.get_num_threads() == 2


def test_a_classifier_takes_one_thread(two_threads, seen):
    with pytest.warns(match="max_iter"):
        model = FlowMixtureClassifier(1, **FAST).fit(X, X[:, 0] > 0)
    model.predict(np.tile(X, (1000, 1)))
    assert seen == {1}
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("solver", ["gradient", "em"])
def test_an_interrupted_fit_restores_the_number_of_threads(two_threads, monkeypatch, solver):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("skflowmix.training.loop.Run.iterate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        FlowMixtureDensity(2, solver=solver, **FAST).fit(X)
    assert torch.get_num_threads() == 2


@pytest.fixture
def two_threads_of_each_pool(two_threads):
    pools = ThreadpoolController()
    found = pools.info()
    set_for_good(pools, 2)
    yield
    set_for_good(pools, found)


def test_starts_are_found_by_one_thread(two_threads_of_each_pool, monkeypatch):
    before, during, row_costs = pool_sizes(), [], judge.row_costs

    def watched(*args, **known):
        during.extend(pool_sizes())
        return row_costs(*args, **known)

    monkeypatch.setattr(judge, "row_costs", watched)
    with pytest.warns(match="max_iter"):
        FlowMixtureClustering(2, **FAST).fit(X)
    assert set(before) == {2}
    assert set(during) == {1}
    assert pool_sizes() == before
    with one_thread():
        assert set(pool_sizes()) == {1}
    assert pool_sizes() == before


def test_pools_have_one_thread_until_the_last_has_left(two_threads_of_each_pool):
    second_is_in, first_is_out, during = threading.Event(), threading.Event(), []

    def second():
        with one_thread():
            second_is_in.set()
            assert first_is_out.wait(60)
            during.extend(pool_sizes())

    other = threading.Thread(target=second)
    with one_thread():
        other.start()
        assert second_is_in.wait(60)
    first_is_out.set()
    other.join()
    assert set(during) == {1}
    assert set(pool_sizes()) == {2}
