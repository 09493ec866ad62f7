"""What classes are called, and in which order their names are sorted, moves nothing that is learned."""

import numpy as np
import pytest
from sklearn.datasets import make_moons

from skflowmix import FlowAutoencoderClassifier, FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

X, TRUE = make_moons(60, noise=0.1, random_state=0)
KNOWN = np.arange(60) % 10 == 0
FAST = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
NAMES = {"numbers": [7, 3], "strings": ["yew", "ash"], "booleans": [True, False], "floats": [2.0, 0.0]}
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


def named(names):
    """Labels of some rows, by such names of the two classes; -1 for the others."""
    y = np.full(60, -1, dtype=object)
    y[KNOWN] = [names[code] for code in TRUE[KNOWN]]
    return y


def assert_alike(model, other, swapped):
    """Two fits of the same rows whose components are in another order."""
    np.testing.assert_array_equal(other.predict_proba(X)[:, swapped], model.predict_proba(X))
    np.testing.assert_array_equal(other.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(other.component_log_prob(X)[:, swapped], model.component_log_prob(X))
    np.testing.assert_array_equal(other.weights_[swapped], model.weights_)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("n_components", [1, 2])
def test_of_a_classifier(kind, n_components, device):
    model, other = (FlowMixtureClassifier(n_components, device=device, **FAST) for _ in range(2))
    model.fit(X, named([0, 1])), other.fit(X, named(NAMES[kind]))
    assert other.classes_.tolist() == sorted(NAMES[kind])
    np.testing.assert_array_equal(other.predict_proba(X)[:, ::-1], model.predict_proba(X))
    np.testing.assert_array_equal(other.predict(X), np.array(NAMES[kind])[model.predict(X)])
    rows, drawn = other.sample(50)
    assert drawn.tolist() == sorted(drawn.tolist())
    np.testing.assert_array_equal(np.unique(rows), np.unique(model.sample(50)[0]))


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("estimator_class", [FlowMixtureClustering, FlowMixtureDensity])
def test_of_components_that_stand_for_classes(estimator_class, kind, device):
    model, other = (estimator_class(3, device=device, **FAST) for _ in range(2))
    assert_alike(model.fit(X, named([0, 1])), other.fit(X, named(NAMES[kind])), [1, 0, 2])
    np.testing.assert_array_equal(np.array([1, 0, 2])[other.predict(X)], model.predict(X))
    assert (np.diff(other.sample(50)[1]) >= 0).all()


@pytest.mark.parametrize(
    "parameters",
    [
        {"posterior": "amortized"},
        {"solver": "em"},
        {"weights_init": [0.7, 0.2, 0.1]},
        {"flow": ["affine", "planar", "radial"]},
        {"init_params": np.random.RandomState(0).uniform(size=(60, 3))},
        {"weight_concentration_prior": 0.1},
    ],
    ids=lambda parameters: next(iter(parameters)),
)
def test_with_what_is_said_of_each_component(parameters, device):
    def in_order(value, order):
        if isinstance(value, np.ndarray):
            return value[:, order]
        return [value[k] for k in order] if isinstance(value, list) else value

    model = FlowMixtureClustering(3, device=device, **FAST | parameters).fit(X, named([0, 1]))
    parameters = {name: in_order(value, [1, 0, 2]) for name, value in parameters.items()}
    other = FlowMixtureClustering(3, device=device, **FAST | parameters).fit(X, named([1, 0]))
    assert_alike(model, other, [1, 0, 2])


def test_of_a_fit_that_goes_on(device):
    model, other = (FlowMixtureClassifier(device=device, warm_start=True, **FAST) for _ in range(2))
    for rows in (slice(None), slice(5, None), KNOWN):
        model.fit(X[rows], named([0, 1])[rows]), other.fit(X[rows], named([1, 0])[rows])
    np.testing.assert_array_equal(other.predict_proba(X)[:, ::-1], model.predict_proba(X))


def test_numbers_of_components_belong_to_the_sorted_classes(device):
    model, other = (FlowMixtureClassifier("auto", device=device, **FAST) for _ in range(2))
    model.fit(X, named([0, 1])), other.fit(X, named([1, 0]))
    assert other.n_components_scores_[::-1] == model.n_components_scores_


def test_of_rows_that_two_classes_have_in_common(device):
    rows, codes = np.repeat(X[:20], 2, axis=0).round(1), np.arange(40) % 2
    model, other = (FlowMixtureClassifier(device=device, **FAST) for _ in range(2))
    weight = np.where(codes == 1, 2.0, 1.0)
    model.fit(rows, codes, sample_weight=weight), other.fit(rows, 1 - codes, sample_weight=weight)
    np.testing.assert_array_equal(other.predict_proba(X)[:, ::-1], model.predict_proba(X))


@pytest.mark.parametrize("kind", ["numbers", "strings"])
def test_of_an_autoencoder(kind, device):
    how = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, "device": device}
    model, other = (FlowAutoencoderClassifier(2, likelihood="normal", **how) for _ in range(2))
    model.fit(X, named([0, 1])), other.fit(X, named(NAMES[kind]))
    assert other.classes_.tolist() == sorted(NAMES[kind])
    np.testing.assert_array_equal(other.predict_proba(X)[:, ::-1], model.predict_proba(X))
    np.testing.assert_array_equal(other.reconstruct(X), model.reconstruct(X))
    assert other.sample(50)[1].tolist() == sorted(other.sample(50)[1].tolist())
    np.testing.assert_array_equal(other.sample(3, y=NAMES[kind][0])[0], model.sample(3, y=0)[0])
