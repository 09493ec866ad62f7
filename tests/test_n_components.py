"""The number of clusters is the number of hills of the density; that of a density's components held-out rows tell."""

from unittest import mock

import numpy as np
import pytest
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.partitions.n_components import choose_n_components

CHEAP = {"n_components": "auto", "flow": "affine", "max_iter": 5, "random_state": 0}


def pinwheel(n_rows, random_state):
    wing = np.repeat(np.arange(5), n_rows // 5)
    along, across = random_state.standard_normal((2, len(wing))) * [[0.3], [0.05]]
    angle = 2 * np.pi * wing / 5 + 0.25 * np.exp(along + 1)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.einsum("in,ijn->nj", np.stack([along + 1, across]), turn), wing


def shapes():
    random_state = np.random.RandomState(0)
    centers = [(-5, 0), (0, 5), (5, 0)]
    return {
        "one blob": (random_state.standard_normal((300, 2)), np.zeros(300)),
        "one wide blob": (random_state.standard_normal((200, 6)), np.zeros(200)),
        "square": (random_state.uniform(size=(400, 2)), np.zeros(400)),
        "three blobs": make_blobs(300, centers=centers, random_state=0),
        "moons": make_moons(400, noise=0.06, random_state=0),
        "pinwheel": pinwheel(600, random_state),
    }


def chosen(X, weight=None, seed=0, min_tried=7):
    X = StandardScaler().fit_transform(X)
    weight = np.ones(len(X)) if weight is None else weight
    return choose_n_components(X, weight, np.random.RandomState(seed), min_tried=min_tried)


@pytest.mark.parametrize("name", shapes())
def test_finds_the_hills(name):
    X, labels = shapes()[name]
    resp, n_components, scores = chosen(X)
    assert n_components == len(np.unique(labels))
    assert resp.shape == (len(X), n_components)
    assert max(scores, key=scores.__getitem__) == n_components
    assert adjusted_rand_score(labels, resp.argmax(1)) > 0.97


def test_same_seed_gives_the_same_answer_and_leaves_the_global_generator_alone():
    X, _ = shapes()["moons"]
    before = str(np.random.get_state())  # noqa: NPY002
    (first, _, first_scores), (second, _, second_scores) = chosen(X, seed=3), chosen(X, seed=3)
    np.testing.assert_array_equal(first, second)
    assert first_scores == second_scores
    assert str(np.random.get_state()) == before  # noqa: NPY002


def test_tries_numbers_up_to_twice_the_best_one():
    X, wing = shapes()["pinwheel"]
    resp, n_components, scores = chosen(X, min_tried=3)
    assert adjusted_rand_score(wing, resp.argmax(1)) > 0.97
    assert list(scores) == list(range(1, 2 * n_components + 1))
    X, _ = shapes()["one blob"]
    assert list(chosen(X, min_tried=3)[2]) == [1, 2, 3]


@pytest.mark.parametrize("n_rows", [1, 2, 13, 30])
def test_few_rows(n_rows):
    resp, n_components, _ = chosen(np.random.RandomState(0).standard_normal((n_rows, 3)))
    assert resp.shape == (n_rows, n_components)
    np.testing.assert_allclose(resp.sum(1), 1)


def test_rows_of_next_to_no_weight_are_not_in_the_sample():
    X, labels = make_blobs(2400, centers=[(-5, 0), (5, 0)], random_state=0)
    assert chosen(X, weight=np.where(labels == 1, 1e-9, 1.0), min_tried=3)[1] == 1


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(90, centers=[(-8, 0), (0, 8), (8, 0)], random_state=0)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestEstimators:
    @pytest.mark.parametrize("init_params", ["auto", "kmeans", "gmm"])
    @pytest.mark.parametrize(
        ("estimator_class", "changes"),
        [(FlowMixtureClustering, {}), (FlowMixtureDensity, {"n_estimators": 1, "early_stopping": False})],
    )
    def test_finds_the_number(self, estimator_class, changes, init_params, blobs, device):
        X, y = blobs
        model = estimator_class(**CHEAP, **changes, init_params=init_params, device=device)
        assert adjusted_rand_score(y, model.fit_predict(X)) == 1
        assert model.n_components_ == len(model.weights_) == 3
        assert model.n_components_scores_[1] == 0.2
        assert max(model.n_components_scores_, key=model.n_components_scores_.__getitem__) == 3

    def test_scores_only_where_they_were_needed(self, blobs, device):
        model = FlowMixtureDensity(**{**CHEAP, "n_components": 2}, n_estimators=1, device=device).fit(blobs[0])
        assert not hasattr(model, "n_components_scores_")
        assert hasattr(model.set_params(n_components="auto").fit(blobs[0]), "n_components_scores_")
        assert not hasattr(model.set_params(n_components=2).fit(blobs[0]), "n_components_scores_")

    @pytest.mark.parametrize(
        ("estimator_class", "changes", "n_components"),
        [(FlowMixtureClustering, {}, 3), (FlowMixtureDensity, {"n_estimators": 1}, 4)],
    )
    def test_rows_may_be_scaled_repeated_and_weighted(self, estimator_class, changes, n_components, blobs, device):
        X, _ = blobs
        weight = np.random.RandomState(0).randint(1, 4, len(X))
        model, repeated = (estimator_class(**CHEAP, **changes, device=device) for _ in range(2))
        model.fit(1e3 * X + 5, sample_weight=weight)
        repeated.fit(np.repeat(1e3 * X + 5, weight, axis=0)[::-1])
        assert model.n_components_scores_ == repeated.n_components_scores_
        assert model.n_components_ == n_components

    def test_restarts_share_one_choice(self, blobs, device):
        with mock.patch("skflowmix.fitting.recipe.choose_n_components", side_effect=choose_n_components) as choose:
            FlowMixtureClustering(**CHEAP, n_init=3, device=device).fit(blobs[0])
        assert choose.call_count == 1

    def test_unnamed_clusters_come_after_the_classes(self, blobs, device):
        X, y = blobs
        labels = np.where((y == 2) & (np.arange(len(y)) < 60), 0, -1)
        model = FlowMixtureClustering(**CHEAP, device=device).fit(X, labels)
        assert model.n_components_ == 3
        assert (model.labels_[y == 2] == 0).all()
        assert adjusted_rand_score(y, model.labels_) == 1

    def test_a_component_for_each_class(self, device):
        X = np.random.RandomState(0).standard_normal((150, 2))
        y = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] > 0)
        model = FlowMixtureClustering(**CHEAP, labels="all", device=device).fit(X, y)
        assert max(model.n_components_scores_, key=model.n_components_scores_.__getitem__) == 1
        assert model.n_components_ == 4

    def test_classifier_takes_the_largest_number_that_a_class_needs(self, blobs, device):
        X, blob = blobs
        y = np.array(["two", "one", "two"])[blob]
        model = FlowMixtureClassifier(**CHEAP, device=device).fit(X, y)
        assert [max(of, key=of.__getitem__) for of in model.n_components_scores_] == [1, 2]
        assert model.weights_.shape == (4,)
        assert model.score(X, y) == 1
        assert set(model.sample(60)[1]) == {"one", "two"}
        few = np.where(np.arange(len(y)) < 40, blob % 2, -1)
        assert FlowMixtureClassifier(**CHEAP, device=device).fit(X, few).weights_.shape == (4,)

    def test_a_continued_fit_keeps_the_number(self, blobs, device):
        X, y = blobs
        for model in (FlowMixtureClustering(**CHEAP), FlowMixtureClassifier(**CHEAP)):
            model.set_params(device=device, warm_start=True).fit(X, y > 1)
            n_components, scores = model.n_components_, model.n_components_scores_
            model.fit(X[y > 0], y[y > 0] > 1)
            assert model.n_components_ == n_components
            assert model.n_components_scores_ is scores

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"flow": ["affine", "nsf"]}, "flow as a list requires n_components as a number"),
            ({"init_params": np.ones((90, 2))}, "init_params as an array requires n_components as a number"),
        ],
    )
    def test_says_what_it_does_not_go_with(self, parameters, message, blobs, device):
        with pytest.raises(ValueError, match=message):
            FlowMixtureDensity(**{**CHEAP, **parameters}, device=device).fit(blobs[0])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class TestDensities:
    def test_the_fit_is_that_of_the_number_which_describes_held_out_rows_best(self, blobs, device):
        X, _ = blobs
        model = FlowMixtureDensity(**CHEAP, n_estimators=2, device=device).fit(X)
        scores = model.n_components_scores_
        fits = [FlowMixtureDensity(**{**CHEAP, "n_components": n}, n_estimators=2, device=device) for n in scores]
        assert [fit.fit(X).lower_bound_ for fit in fits] == list(scores.values())
        best = max(scores, key=scores.__getitem__)
        assert model.n_components_ == 2 * best
        np.testing.assert_array_equal(model.score_samples(X), fits[list(scores).index(best)].score_samples(X))

    def test_one_gaussian_needs_one_component(self, device):
        X = np.random.RandomState(0).standard_normal((400, 3))
        model = FlowMixtureDensity(**CHEAP, n_estimators=1, device=device).fit(X)
        assert model.n_components_ == 1
        assert list(model.n_components_scores_) == [1, 2]

    def test_numbers_are_compared_on_the_same_rows_whatever_the_seed(self, blobs, device):
        model = FlowMixtureDensity(**CHEAP, n_estimators=1, device=device)
        first, second = (model.set_params(random_state=np.random.RandomState(3)).fit(blobs[0]) for _ in range(2))
        assert first.n_components_scores_ == second.n_components_scores_

    def test_few_rows_have_few_components(self, device):
        X = np.random.RandomState(0).standard_normal((19, 2))
        assert list(FlowMixtureDensity(**CHEAP, n_estimators=1, device=device).fit(X).n_components_scores_) == [1]

    def test_a_warm_start_goes_on_with_the_number(self, blobs, device):
        model = FlowMixtureDensity(**CHEAP, n_estimators=2, warm_start=True, device=device).fit(blobs[0])
        scores, number = model.n_components_scores_, model.n_components_
        model.fit(blobs[0])
        assert (model.n_components_scores_, model.n_components_) == (scores, number)

    def test_after_an_interrupt_it_is_the_best_so_far(self, blobs, device):
        calls = []

        def ends_in_the_third_fit(X, n_components, weight, random_state):
            calls.append(n_components)
            if n_components == 4:
                raise KeyboardInterrupt
            return np.eye(n_components)[np.arange(len(X)) * n_components // len(X)]

        model = FlowMixtureDensity(**CHEAP, n_estimators=1, init_params=ends_in_the_third_fit, device=device)
        with pytest.raises(KeyboardInterrupt):
            model.fit(blobs[0])
        assert calls == [2, 4]
        assert list(model.n_components_scores_) == [1, 2]
        assert np.isfinite(model.score_samples(blobs[0])).all()
