"""Which y is learned, what a label reaches, and what a score is made of."""

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs, make_moons
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_score

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.fitting.spreading import spread_labels

FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
X, Y = make_moons(80, noise=0.1, random_state=0)
unsupervised = pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureDensity])
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


class TestWhichAreLearned:
    def test_a_score_against_labels_is_no_better_than_chance_where_there_are_no_clusters(self, device):
        rng = np.random.RandomState(0)
        noise, classes = rng.uniform(size=(200, 2)), rng.randint(4, size=200)
        models = FlowMixtureClustering(4, device=device, **FAST), KMeans(4, n_init=3, random_state=0)
        for model in models:
            scores = cross_val_score(model, noise, classes, scoring="adjusted_rand_score", cv=3)
            assert abs(scores.mean()) < 0.05

    @unsupervised
    @pytest.mark.parametrize(
        "y",
        [
            *(Y, X[:, 0], np.full(80, np.nan), Y.astype(str), np.arange(80)),
            pd.array([0, None] * 40, dtype="Int64"),
            pd.Series(["a", None] * 40, dtype="string"),
        ],
        ids=["int", "continuous", "nan", "strings", "ids", "Int64", "string with NA"],
    )
    def test_a_y_without_unlabelled_rows_is_for_evaluation(self, estimator_class, y, device):
        model = estimator_class(2, device=device, **FAST)
        expected = model.fit(X).score_samples(X)
        np.testing.assert_array_equal(model.fit(X, y).score_samples(X), expected)
        assert not hasattr(model, "classes_")

    @pytest.mark.parametrize("y", [np.array([b"a", b"b"] * 40), np.array([b"a", -1] * 40, dtype=object)])
    def test_bytes_are_no_labels(self, y, device):
        with pytest.raises(ValueError, match="y holds bytes; decode them"):
            FlowMixtureClassifier(1, device=device, **FAST).fit(X, y)
        model = FlowMixtureClassifier(1, device=device, **FAST).fit(X, Y.astype(str))
        with pytest.raises(ValueError, match="y holds bytes; decode them"):
            model.score(X, y)

    @unsupervised
    def test_labels_say_what_is_learned(self, estimator_class, device):
        some = np.where(np.arange(80) < 20, Y, -1)

        def learned(labels, y):
            return hasattr(estimator_class(2, labels=labels, device=device, **FAST).fit(X, y), "classes_")

        assert [learned("partial", some), learned("all", some), learned("none", some)] == [True, True, False]
        assert [learned("partial", Y), learned("all", Y), learned("none", Y)] == [False, True, False]

    @unsupervised
    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (np.where(np.arange(80) < 40, X[:, 0], -1), "continuous"),
            (np.array(["a", "-1"] * 40), "dtype object"),
            (["a", -1] * 40, "dtype object"),
            (pd.Series(["a", None, -1, "b"] * 20, dtype=object), "missing values"),
            (pd.array([None, 0, 1, -1] * 20, dtype="Int64"), "missing values"),
            (np.array([np.ones(2), -1] * 40, dtype=object), "one label for each row"),
        ],
        ids=["continuous", "strings", "list of strings", "missing", "NA first", "arrays"],
    )
    def test_partial_labels_that_are_none_are_an_error(self, estimator_class, y, message, device):
        with pytest.raises(ValueError, match=message):
            estimator_class(2, device=device, **FAST).fit(X, y)

    @unsupervised
    def test_classes_that_grow_the_mixture_warn(self, estimator_class, device):
        y = np.where(np.arange(80) < 40, np.arange(80) % 5, -1)
        with pytest.warns(UserWarning, match=r"y names 5 classes.*n_components=2; set n_components to at least 5"):
            model = estimator_class(2, device=device, **FAST).fit(X, y)
        assert model.n_components_ == 5

    @pytest.mark.parametrize("y", [np.array(["a", -1] * 40, dtype=object), [True, -1] * 40], ids=["object", "bool"])
    def test_one_class_next_to_unlabelled_rows(self, y, device):
        assert FlowMixtureClustering(2, device=device, **FAST).fit(X, y).classes_.tolist() == [y[0]]


class TestReach:
    def far_blob(self):
        """Three islands, of which two have a label."""
        X, island = make_blobs(150, centers=[(0, 0), (20, 0), (24, 6)], cluster_std=0.5, random_state=0)
        codes = np.full(150, -1)
        for island_, code in ((0, 0), (1, 1)):
            codes[np.flatnonzero(island == island_)[0]] = code
        return X, island, codes

    def test_rows_that_no_label_reaches_go_by_distance(self):
        X, island, codes = self.far_blob()
        np.testing.assert_array_equal(spread_labels(X, codes), np.array([0, 1, 1])[island])

    def test_the_order_of_the_classes_decides_nothing(self):
        X, _, codes = self.far_blob()
        swapped = np.where(codes >= 0, 1 - codes, -1)
        np.testing.assert_array_equal(spread_labels(X, swapped), 1 - spread_labels(X, codes))

    def test_the_names_of_the_classes_decide_nothing(self, device):
        X, _, codes = self.far_blob()
        model = FlowMixtureClassifier(1, device=device, **FAST)
        named, renamed = (
            model.fit(X, [names[code] if code >= 0 else -1 for code in codes]).predict(X) for names in ((1, 2), (3, 2))
        )
        np.testing.assert_array_equal(named == 1, renamed == 3)


class TestWeight:
    def scores(self, estimator_class, codes, device, weight):
        model = estimator_class(2, supervised_weight=weight, early_stopping=False, device=device, **FAST)
        return model.fit(X, codes).score_samples(X)

    @unsupervised
    def test_auto_is_a_tenth_of_the_rows_for_each_labelled_row(self, estimator_class, device):
        codes = np.full(80, -1)
        codes[[np.flatnonzero(label == Y)[0] for label in (0, 1)]] = 0, 1
        auto, number, one = (self.scores(estimator_class, codes, device, weight) for weight in ("auto", 4.0, 1.0))
        np.testing.assert_array_equal(auto, number)
        assert not np.array_equal(auto, one)

    @unsupervised
    def test_auto_is_one_at_least(self, estimator_class, device):
        codes = np.where(np.arange(80) % 5, -1, Y)
        auto, one = (self.scores(estimator_class, codes, device, weight) for weight in ("auto", 1.0))
        np.testing.assert_array_equal(auto, one)


class TestScore:
    def test_unlabelled_rows_are_left_out(self, device):
        model = FlowMixtureClassifier(1, device=device, **FAST).fit(X, Y)
        some = np.where(np.arange(80) < 30, Y, -1)
        assert model.score(X, some) == accuracy_score(Y[:30], model.predict(X[:30]))
        weight = np.linspace(1, 2, 80)
        expected = accuracy_score(Y[:30], model.predict(X[:30]), sample_weight=weight[:30])
        assert model.score(X, some, sample_weight=weight) == pytest.approx(expected)

    def test_a_class_of_minus_one_counts(self, device):
        signs = np.where(Y, 1, -1)
        model = FlowMixtureClassifier(1, device=device, **FAST).fit(X, signs)
        assert model.classes_.tolist() == [-1, 1]
        assert model.score(X, signs) == accuracy_score(signs, model.predict(X))

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (-np.ones(80), "negative"),
            (np.full(80, np.nan), "NaN"),
            (np.ones(79), "sample_weight"),
            (np.zeros(80), "positive|non-zero"),
        ],
        ids=["negative", "nan", "short", "zero"],
    )
    @pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier])
    def test_weights_are_checked(self, estimator_class, weight, message, device):
        model = estimator_class(2, device=device, **FAST).fit(X, Y)
        with pytest.raises(ValueError, match=message):
            model.score(X, Y, sample_weight=weight)

    def test_no_labelled_row_is_an_error(self, device):
        model = FlowMixtureClassifier(1, device=device, **FAST).fit(X, Y)
        with pytest.raises(ValueError, match="y labels no row"):
            model.score(X, np.full(80, -1))

    @pytest.mark.parametrize("dtype", [int, float, bool, object])
    @pytest.mark.parametrize("scored_as", [int, float, object])
    def test_the_dtype_of_the_labels_decides_nothing(self, dtype, scored_as, device):
        model = FlowMixtureClassifier(1, device=device, **FAST).fit(X, Y.astype(dtype))
        assert model.score(X, Y.astype(scored_as)) == np.mean(model.predict(X) == Y)

    def test_cross_validation_of_partly_labelled_objects(self, device):
        some = np.where(np.arange(80) % 3 == 0, -1, Y).astype(object)
        scores = cross_val_score(FlowMixtureClassifier(1, device=device, **FAST), X, some, cv=2, error_score="raise")
        assert np.isfinite(scores).all()

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (None, "requires y"),
            (["0", -1] * 40, "dtype object"),
            (np.array([0, None] * 40, dtype=object), "missing values"),
            (pd.array([0, 1, None, -1] * 20, dtype="Int64"), "missing values"),
        ],
        ids=["none", "strings and -1", "None", "NA"],
    )
    def test_labels_that_fit_refuses_are_refused(self, y, message, device):
        model = FlowMixtureClassifier(1, device=device, **FAST).fit(X, Y)
        with pytest.raises(ValueError, match=message):
            model.score(X, y)
