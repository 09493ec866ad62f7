"""What is made of a few labels: guesses for the other rows, and noise under which classes are told apart."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine, make_blobs, make_circles, make_moons
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering
from skflowmix.fitting.architecture import make_components
from skflowmix.fitting.class_clusters import with_clusters
from skflowmix.fitting.class_noise import blur, class_noise, units_of_classes
from skflowmix.fitting.rows import TrainingSet
from skflowmix.fitting.scaling import FeatureScaler
from skflowmix.fitting.settings import Settings
from skflowmix.fitting.spreading import guess_labels, neighbor_units, with_guesses
from skflowmix.modules import FlowMixture


def few(y, n_labels, seed=0):
    """Codes of so many rows of each class, -1 elsewhere."""
    rng, codes = np.random.RandomState(seed), np.full(len(y), -1)
    for label in np.unique(y):
        codes[rng.permutation(np.flatnonzero(y == label))[:n_labels]] = label
    return codes


def training_set(X, codes):
    return TrainingSet(X, codes, np.ones(len(X)), classes=np.arange(codes.max() + 1))


def blobs_and_far_rows(n_far, far, seed):
    """Two blobs of sixty rows with three labels each, and rows without a label far away."""
    X, blob = make_blobs([60, 60, n_far], centers=[[0, 0], [12, 0], far], cluster_std=0.5, random_state=seed)
    order, codes = np.argsort(blob, kind="stable"), np.full(len(X), -1)
    codes[[0, 1, 2, 60, 61, 62]] = 0, 0, 0, 1, 1, 1
    return X[order], blob[order], codes


class TestGuesses:
    def test_shapes_are_followed(self):
        X, y = make_circles(300, factor=0.5, noise=0.03, random_state=0)
        assert np.mean(guess_labels(X, few(y, 4)).classes == y) > 0.99

    @pytest.mark.parametrize("seed", range(3))
    def test_gaussian_classes_are_found_where_a_graph_alone_errs(self, seed):
        X, y = load_wine(return_X_y=True)
        X, codes = StandardScaler().fit_transform(X), few(y, 5, seed)
        graph = LabelSpreading("knn", n_neighbors=10).fit(X, codes).transduction_
        assert np.mean(guess_labels(X, codes).classes == y) > max(0.94, np.mean(graph == y))

    def test_given_labels_stay_and_are_certain(self):
        X, y = make_blobs(60, centers=2, cluster_std=3.0, random_state=0)
        codes = few(y, 10)
        codes[np.flatnonzero(codes == 0)[0]] = 1
        guess = guess_labels(X, codes)
        given = codes >= 0
        np.testing.assert_array_equal(guess.classes[given], codes[given])
        assert (guess.certainty[given] == 1).all()
        assert (guess.certainty[~given] < 1).all()

    def test_rows_between_the_classes_stay_without_a_label(self):
        X = np.concatenate([np.linspace(0, 1, 21), np.linspace(2, 3, 21), [1.5]])[:, None]
        codes = np.full(43, -1)
        codes[[10, 31]] = 0, 1
        found = with_guesses(training_set(X, codes), X).codes
        assert found[42] == -1
        np.testing.assert_array_equal(found[:42], np.repeat([0, 1], 21))

    def test_outliers_and_repeated_rows_are_no_error(self):
        X = np.concatenate([np.zeros((20, 2)), np.ones((20, 2)), [[1e6, -1e6], [1e6, 1e6]]])
        codes = np.full(42, -1)
        codes[[0, 20]] = 0, 1
        np.testing.assert_array_equal(guess_labels(X, codes).classes[:40], np.repeat([0, 1], 20))

    @pytest.mark.parametrize("n_far", [1, 6, 60])
    @pytest.mark.parametrize("far", [(100, 1), (300, 1), (1e6, 1), (1e12, 1), (-1e12, 1e6), (6, 1e6)])
    def test_far_rows_mix_no_classes(self, n_far, far):
        for seed in range(3):
            X, blob, codes = blobs_and_far_rows(n_far, far, seed)
            scaled = FeatureScaler.of(X, np.ones(len(X))).transform(X)
            np.testing.assert_array_equal(guess_labels(scaled, codes).classes[:120], blob[:120])


class TestNamedClusters:
    def moons(self, n=300):
        X, y = make_moons(n, noise=0.1, random_state=0)
        return StandardScaler().fit_transform(X), y, np.where(np.arange(n) < 10, y, -1)

    @pytest.mark.parametrize("n", [300, 3500], ids=["all rows", "some of them"])
    def test_ends_of_moons_are_not_mixed(self, n):
        X, y, codes = self.moons(n)
        data = with_clusters(training_set(X, codes), X, np.random.RandomState(0))
        assert np.mean(data.clusters == y) > 0.98
        assert np.mean(guess_labels(X, codes, data.clusters).classes == y) > 0.98

    def test_one_label_that_contradicts_is_enough(self):
        X, _, codes = self.moons()
        codes[0] = 1 - codes[0]
        assert with_clusters(training_set(X, codes), X, np.random.RandomState(0)).clusters is None

    def test_classes_that_share_a_cluster_are_not_clusters(self):
        X, _ = make_blobs(300, centers=[[0, 0], [9, 0], [0, 9]], random_state=0)
        codes = np.full(300, -1)
        codes[np.argsort(X[:, 0])[[0, 50, 100]]] = 0, 1, 2
        assert with_clusters(training_set(X, codes), X, np.random.RandomState(0)).clusters is None

    @pytest.mark.parametrize("codes", [[0, 1, 0, 1], [0, 0, -1, -1], [-1] * 4, [0, 1, -1, -1]])
    def test_none_where_there_is_nothing_to_ask(self, codes):
        X, codes = np.arange(4.0)[:, None], np.array(codes)
        data = training_set(X, codes)
        assert with_clusters(data, X, np.random.RandomState(0)).clusters is None

    @pytest.mark.parametrize(
        "model", [FlowMixtureClassifier(), FlowMixtureClustering(2)], ids=lambda m: type(m).__name__
    )
    def test_ten_labels_do_not_hurt(self, model, device):
        X, y, codes = self.moons()
        model = clone(model).set_params(random_state=0, device=device)
        assert np.mean(model.fit(X, codes).predict(X) == y) > 0.97


class TestUnitsOfNeighbors:
    def test_a_far_cluster_does_not_matter(self):
        near = np.random.RandomState(0).standard_normal((400, 2))
        with_far = np.vstack([near, near[:200] + [1e8, 0]])
        ratios = [units[0] / units[1] for units in map(neighbor_units, (near, with_far))]
        assert ratios[1] == pytest.approx(ratios[0], rel=0.3)

    def test_a_constant_feature_has_a_unit(self):
        X = np.random.RandomState(0).standard_normal((200, 2))
        units = neighbor_units(np.column_stack([X, np.ones(200)]))
        np.testing.assert_array_equal(units, [*neighbor_units(X), 1])


class TestNoise:
    def two_classes(self, junk=0.0, n=120):
        """Two features that tell classes apart, and ten that are next to nothing but for a few rows."""
        rng = np.random.RandomState(0)
        codes = np.arange(n) % 2
        X = rng.randn(n, 2) + 2 * codes[:, None]
        return np.column_stack([X, junk * rng.randn(n, 30)]), codes

    def test_none_where_gaussians_are_right(self):
        rng, codes = np.random.RandomState(0), np.arange(200) % 2
        slope = rng.randn(200)
        X = np.column_stack([slope, slope + 0.1 * rng.randn(200) + 0.3 * codes])
        found = class_noise(X, np.ones(2), training_set(X, codes), np.random.RandomState(0))
        np.testing.assert_array_equal(found, 0)

    def test_useless_features_of_a_small_scale_drown(self):
        X, codes = self.two_classes(junk=0.01)
        units = X.std(0)
        found = class_noise(X / units, units, training_set(X, codes), np.random.RandomState(0))
        assert found[2:].min() > 100 * found[:2].max()

    def test_features_and_their_noise_have_one_unit(self):
        X, codes = self.two_classes(junk=0.01)
        data = training_set(X, codes)
        before = FeatureScaler.of(X, data.weight)
        scaler, noise = units_of_classes(before, data, np.random.RandomState(0))
        np.testing.assert_allclose(scaler.transform(X).var(0) + noise, 1, rtol=1e-6)
        change = before.transform_and_log_det(X)[1] - scaler.transform_and_log_det(X)[1]
        np.testing.assert_allclose(change, -0.5 * np.log1p(-noise).sum(), rtol=1e-6)

    def test_too_few_rows_of_a_class_are_no_error(self):
        X, codes = self.two_classes()
        codes = np.where(np.arange(120) == 0, 0, 1)
        assert not class_noise(X, np.ones(32), training_set(X, codes), np.random.RandomState(0)).any()

    def test_blurred_gaussians_have_the_variance_in_addition(self):
        settings = Settings.of(FlowMixtureClassifier(flow="affine", n_shared_layers=0, reg_covar=1e-9).get_params())
        X = torch.as_tensor(np.random.RandomState(0).randn(50, 3))
        mixture = FlowMixture(*make_components(settings, 1, 3, 0), 1).double()
        mixture.initialize(X, torch.ones(50, 1).double())
        blur(mixture, np.array([0.5, 0.0, 2.0]))
        covariance = torch.cov(X.T, correction=0) + torch.diag(torch.tensor([0.5, 0.0, 2.0]))
        expected = torch.distributions.MultivariateNormal(X.mean(0), covariance).log_prob(X)
        torch.testing.assert_close(mixture.log_prob(X), expected, atol=1e-5, rtol=1e-5)


def test_digits_with_few_labels_are_told_apart_better_than_by_a_graph(device):
    X, y = load_digits(return_X_y=True)
    X, y = StandardScaler().fit_transform(X[:600]), y[:600]
    codes = few(y, 5)
    rest = codes < 0
    graph = LabelSpreading("knn", n_neighbors=10).fit(X, codes).predict(X)
    model = FlowMixtureClassifier(max_iter=2, device=device, random_state=0)
    with pytest.warns(Warning, match="still improved"):
        model.fit(X, codes)
    assert np.mean(model.predict(X)[rest] == y[rest]) > np.mean(graph[rest] == y[rest]) + 0.02


@pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("far", [(100, 1), (300, 1), (1e4, 1e4), (1e6, 1), (1, 1e12)])
def test_one_far_row_takes_no_row_from_its_class(far, device):
    X, blob, codes = blobs_and_far_rows(1, far, seed=1)
    model = FlowMixtureClassifier(n_layers=1, hidden_layer_sizes=(4,), max_iter=5, device=device, random_state=0)
    np.testing.assert_array_equal(model.fit(X, codes).predict(X[:120]), blob[:120])
