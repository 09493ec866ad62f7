"""Bad input is a named error; hard data are fitted all the same."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

ESTIMATORS = [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier]
UNSUPERVISED = [FlowMixtureClustering, FlowMixtureDensity]

every_estimator = pytest.mark.parametrize("estimator_class", ESTIMATORS)
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


def learning_any(estimator_class):
    """The parameter by which an estimator learns every y."""
    return {} if estimator_class is FlowMixtureClassifier else {"labels": "all"}


def make(estimator_class, device, **params):
    cheap = {
        "n_components": 2,
        "flow": "nsf" if estimator_class is FlowMixtureClustering else "realnvp",
        "n_layers": 2,
        "hidden_layer_sizes": (8,),
        "max_iter": 3,
        "device": device,
        "random_state": 0,
    }
    return estimator_class(**{**cheap, **params})


def normal(n_samples=40, n_features=2, random_state=0):
    return np.random.RandomState(random_state).normal(size=(n_samples, n_features))


def alternate(n_samples):
    return np.arange(n_samples) % 2


def with_value(value, row=3, column=1):
    X = normal()
    X[row, column] = value
    return X


PARAMETERS = [
    ("n_components", 0, r"\[1, inf\)"),
    ("n_components", -2, r"\[1, inf\)"),
    ("n_components", 2.5, r"\[1, inf\)"),
    ("n_components", "many", r"\[1, inf\).*'auto'"),
    ("n_components", True, "must be a number"),
    ("reg_covar", True, "must be a number"),
    ("alpha", True, "must be a number"),
    ("learning_rate_init", True, "must be a number"),
    ("weight_concentration_prior", True, "must be a number"),
    ("n_layers", 10**9, r"\[0, 1000\]"),
    ("hidden_layer_sizes", (10**9,), r"weights or more; 1e\+09 in all are allowed"),
    ("hidden_layer_sizes", (10**5, 10**5), "weights or more"),
    ("n_init", 10**9, "1000000000 makes networks of .* weights or more"),
    ("weights_init", ["1", "2"], "must hold real numbers"),
    ("flow", [["nsf"], "nsf"], "name"),
    ("flow", "nothing", "affine.*realnvp|realnvp.*affine"),
    ("flow", "made", "affine.*realnvp|realnvp.*affine"),
    ("flow", 3, "affine.*realnvp|realnvp.*affine"),
    ("n_layers", -1, "must be an int in the range"),
    ("n_layers", 1.5, "must be an int in the range"),
    ("hidden_layer_sizes", 8, "tuple"),
    ("hidden_layer_sizes", (0,), "positive|range"),
    ("hidden_layer_sizes", (8, -3), "positive|range"),
    ("hidden_layer_sizes", (8.5,), "int"),
    ("hidden_layer_sizes", ("8",), "int"),
    ("n_shared_layers", -1, r"\[0, inf\)"),
    ("base", "cauchy", "normal.*student_t|student_t.*normal"),
    ("posterior", "approximate", "amortized.*exact|exact.*amortized"),
    ("solver", "adam", "gradient"),
    ("solver", "soft-em", "hard-em"),
    ("learn_weights", "no", "bool"),
    ("weights_init", "uniform", "array-like"),
    ("weight_concentration_prior", 0.0, r"\[1e-12, 1000000.0\] or None"),
    ("init_params", "best", "kmeans"),
    ("init_params", 3, "kmeans"),
    ("n_init", 0, r"\[1, inf\)"),
    ("reg_covar", 0, r"\[1e-12, 1000000.0\]"),
    ("reg_covar", -1e-6, r"\[1e-12, 1000000.0\]"),
    ("reg_covar", 1e-80, r"\[1e-12, 1000000.0\]"),
    ("supervised_weight", -1, r"\[0.0, 1000000.0\]"),
    ("unlabelled_weight", -1, r"\[0.0, 1000000.0\]"),
    ("consistency_weight", -1, r"\[0.0, 1000000.0\]"),
    ("max_iter", 0, r"\[1, inf\)"),
    ("batch_size", 0, r"\[1, inf\).*auto"),
    ("batch_size", "all", r"\[1, inf\).*auto"),
    ("learning_rate_init", 0, r"\(0.0, 1.0\]"),
    ("learning_rate_init", -1e-3, r"\(0.0, 1.0\]"),
    ("learning_rate_init", 10, r"\(0.0, 1.0\]"),
    ("alpha", -1, r"\[0.0, 1000000.0\]"),
    ("alpha", 1e308, r"\[0.0, 1000000.0\]"),
    ("unlabelled_weight", 1e308, r"\[0.0, 1000000.0\]"),
    ("labels", "some", "partial"),
    ("early_stopping", "yes", "bool"),
    ("validation_fraction", 0, r"\(0.0, 1.0\)"),
    ("validation_fraction", 1, r"\(0.0, 1.0\)"),
    ("n_iter_no_change", 0, r"\[1, inf\)"),
    ("tol", -1e-3, r"\[0.0, inf\)"),
    ("dtype", "float16", "float32.*float64|float64.*float32"),
    ("compile", "yes", "bool"),
    ("warm_start", "yes", "bool"),
    ("random_state", -1, "int"),
    ("random_state", "seed", "int"),
    ("verbose", "loud", "bool"),
]


class TestParameters:
    @pytest.mark.parametrize(("name", "value", "allowed"), PARAMETERS)
    def test_error_names_the_parameter_and_what_is_allowed(self, name, value, allowed, device):
        estimator = make(FlowMixtureDensity, device, **{name: value})
        with pytest.raises(ValueError, match=f"{name}(?s:.)*({allowed})"):
            estimator.fit(normal())

    @pytest.mark.parametrize("estimator_class", UNSUPERVISED)
    def test_more_components_than_rows(self, estimator_class, device):
        with pytest.raises(ValueError, match="n_components=7 is more than the 6 distinct rows"):
            make(estimator_class, device, n_components=7).fit(normal(6))

    @every_estimator
    @pytest.mark.parametrize("name", ["tpu", "cuda:99", "no such device", "", "meta"])
    def test_error_names_the_devices_there_are(self, estimator_class, name):
        devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        with pytest.raises(ValueError, match=f"device='{name}'.*" + ".*".join(devices)):
            make(estimator_class, name).fit(normal(), alternate(40))

    @pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
    @every_estimator
    def test_cuda_where_there_is_none(self, estimator_class):
        with pytest.raises(ValueError, match=r"device='cuda' is not available.*cpu"):
            make(estimator_class, "cuda").fit(normal(), alternate(40))

    def test_device_of_another_type(self):
        with pytest.raises(ValueError, match=r"'device' parameter.*str"):
            make(FlowMixtureDensity, 0).fit(normal())

    @pytest.mark.parametrize(
        "weights", [[1, 2, 3], [1], [1, -1], [1, np.nan], [[1, 2]]], ids=["long", "short", "negative", "nan", "2d"]
    )
    def test_weights_init(self, weights, device):
        with pytest.raises(ValueError, match="weights_init"):
            make(FlowMixtureDensity, device, weights_init=weights).fit(normal())

    @pytest.mark.parametrize(
        "resp",
        [
            np.ones((40, 3)),
            np.ones((39, 2)),
            np.ones(40),
            -np.ones((40, 2)),
            np.zeros((40, 2)),
            np.full((40, 2), np.nan),
        ],
        ids=["wide", "short", "1d", "negative", "zero", "nan"],
    )
    def test_init_params_as_an_array(self, resp, device):
        with pytest.raises(ValueError, match=r"init_params|Expected 2D array"):
            make(FlowMixtureDensity, device, init_params=resp).fit(normal())

    @pytest.mark.parametrize(
        "start",
        [
            lambda X, n_components, weight, random_state: np.ones((len(X), n_components + 1)),
            lambda X, n_components, weight, random_state: np.zeros(len(X)),
            lambda X, n_components, weight, random_state: -np.ones((len(X), n_components)),
            lambda X, n_components, weight, random_state: np.full((len(X), n_components), np.nan),
        ],
        ids=["wide", "1d", "negative", "nan"],
    )
    def test_init_params_as_a_callable(self, start, device):
        with pytest.raises(ValueError, match=r"init_params as a callable must return.*\(40, 2\)"):
            make(FlowMixtureDensity, device, init_params=start).fit(normal())


class TestRows:
    @every_estimator
    @pytest.mark.parametrize(
        ("X", "error", "message"),
        [
            (with_value(np.nan), ValueError, "Input X contains NaN"),
            (with_value(np.inf), ValueError, "Input X contains infinity"),
            (with_value(-np.inf), ValueError, "Input X contains infinity"),
            (8e307 * (np.arange(80.0) % 3 - 1).reshape(40, 2), ValueError, "Feature 0 of X"),
            (normal()[:, 0], ValueError, "Expected 2D array, got 1D"),
            (normal()[None], ValueError, "dim 3"),
            (np.float64(1), ValueError, "Expected 2D array, got scalar"),
            (np.empty((0, 2)), ValueError, "0 sample"),
            (np.empty((40, 0)), ValueError, "0 feature"),
            (normal(1), ValueError, "1 sample"),
            (sparse.csr_array(normal()), TypeError, "[Ss]parse"),
            (np.full((40, 2), "oak"), ValueError, "could not convert string"),
            (normal().astype(complex), ValueError, "Complex data not supported"),
            (pd.DataFrame({"a": normal()[:, 0], "b": ["oak"] * 40}), ValueError, "could not convert string"),
        ],
        ids=[
            "nan",
            "inf",
            "-inf",
            "spread",
            "1d",
            "3d",
            "scalar",
            "no rows",
            "no columns",
            "one row",
            "sparse",
            "strings",
            "complex",
            "frame with strings",
        ],
    )
    def test_error_says_what_is_wrong_with_the_rows(self, estimator_class, X, error, message, device):
        n_rows = X.shape[0] if np.ndim(X) or sparse.issparse(X) else 1
        with pytest.raises(error, match=message):
            make(estimator_class, device).fit(X, alternate(n_rows))

    @every_estimator
    def test_all_rows_equal(self, estimator_class, device):
        with pytest.raises(ValueError, match="1 distinct row"):
            make(estimator_class, device).fit(np.ones((40, 2)), np.zeros(40, dtype=int))

    @every_estimator
    @pytest.mark.parametrize("method", ["predict", "predict_proba", "score_samples", "component_log_prob", "elbo"])
    @pytest.mark.parametrize(
        ("X", "message"),
        [
            (normal(n_features=3), "X has 3 features, but FlowMixture.* is expecting 2"),
            (with_value(np.nan), "Input X contains NaN"),
            (normal()[:, 0], "Expected 2D array"),
            (np.empty((0, 2)), "0 sample"),
        ],
        ids=["wide", "nan", "1d", "empty"],
    )
    def test_error_of_a_fitted_estimator(self, estimator_class, method, X, message, device, fitted):
        with pytest.raises(ValueError, match=message):
            getattr(fitted(estimator_class, device), method)(X)

    @every_estimator
    @pytest.mark.parametrize(
        "method",
        ["predict", "predict_proba", "score_samples", "component_log_prob", "elbo"],
    )
    def test_nothing_is_answered_before_a_fit(self, estimator_class, method, device):
        with pytest.raises(NotFittedError, match=estimator_class.__name__):
            getattr(make(estimator_class, device), method)(normal())

    @every_estimator
    def test_nothing_is_drawn_before_a_fit(self, estimator_class, device):
        with pytest.raises(NotFittedError, match=estimator_class.__name__):
            make(estimator_class, device).sample()

    @every_estimator
    @pytest.mark.parametrize("n_samples", [0, -1, 2.5, "3", True])
    def test_number_of_samples(self, estimator_class, n_samples, device, fitted):
        with pytest.raises((ValueError, TypeError), match="n_samples"):
            fitted(estimator_class, device).sample(n_samples)

    @every_estimator
    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (-np.ones(40), "sample_weight.*negative"),
            (np.zeros(40), "[Ss]ample.weight.*(positive|non-zero)"),
            (np.ones(39), "sample_weight"),
            (np.ones((40, 2)), "[Ss]ample.weight"),
            (np.full(40, np.nan), "sample_weight contains NaN"),
            (np.eye(40)[0], "distinct row"),
        ],
        ids=["negative", "zero", "short", "2d", "nan", "one row"],
    )
    def test_sample_weight(self, estimator_class, weight, message, device):
        with pytest.raises(ValueError, match=message):
            make(estimator_class, device).fit(normal(), alternate(40), sample_weight=weight)


@pytest.fixture(scope="module")
def fitted():
    """A function that fits each estimator once."""
    cache = {}

    def fit(estimator_class, device):
        if (estimator_class, device) not in cache:
            model = make(estimator_class, device, **learning_any(estimator_class))
            cache[estimator_class, device] = model.fit(normal(), alternate(40))
        return cache[estimator_class, device]

    return fit


class TestLabels:
    @every_estimator
    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (alternate(39), "inconsistent numbers of samples"),
            (normal()[:, 0], "continuous"),
            (np.column_stack([alternate(40), alternate(40)]), "1d array"),
            (np.array(["ash", "-1"] * 20), "dtype object"),
            (np.array([0, np.nan] * 20), "NaN"),
            (np.array([0, np.inf] * 20), "infinity"),
        ],
        ids=["short", "continuous", "two columns", "strings with -1", "nan", "inf"],
    )
    def test_error_says_what_is_wrong_with_the_labels(self, estimator_class, y, message, device):
        with pytest.raises(ValueError, match=message):
            make(estimator_class, device, **learning_any(estimator_class)).fit(normal(), y)

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (None, "requires y"),
            (np.full(40, -1), "-1"),
            (np.full(40, -1.0), "-1"),
            (np.full(40, -1, dtype=object), "-1"),
            (np.resize(np.array(["a", None], dtype=object), 40), "missing values"),
            (np.array([1, "a"] * 20, dtype=object), "cannot be sorted"),
        ],
        ids=["none", "integers", "floats", "objects", "objects with None", "mixed types"],
    )
    def test_classifier_needs_a_label(self, y, message, device):
        with pytest.raises(ValueError, match=message):
            make(FlowMixtureClassifier, device).fit(normal(), y)


def one_constant_column():
    return np.column_stack([normal(), np.full(40, 5.0)])


def one_varying_column():
    X = np.full((40, 4), 5.0)
    X[:, 2] = normal()[:, 0]
    return X


def far_row(distance):
    X = normal()
    X[0] = distance
    return X


def two_clusters(spread):
    return np.concatenate([normal(20) * spread, normal(20, random_state=1) * spread + 10])


HARD_DATA = {
    "constant column": one_constant_column(),
    "constant columns but one": one_varying_column(),
    "duplicated columns": normal().repeat(2, 1),
    "column and its negative": np.column_stack([normal(), -normal()]),
    "repeated rows": normal(10).repeat(8, 0),
    "two distinct rows": np.array([[0.0, 0.0], [1.0, 2.0]]).repeat(20, 0),
    "integer values": np.random.RandomState(0).randint(10, size=(60, 3)),
    "heavy ties": np.random.RandomState(0).randint(3, size=(200, 2)).astype(float),
    "two values": np.random.RandomState(0).randint(2, size=(60, 5)).astype(float),
    "2 rows": normal(2),
    "3 rows": normal(3),
    "5 rows": normal(5),
    "19 rows": normal(19),
    "more features than rows": normal(8, 20),
    "one feature": normal(40, 1),
    "one feature, 3 rows": normal(3, 1),
    "twelve orders of magnitude": normal(40, 3) * [1e-6, 1.0, 1e6],
    "far row": far_row(1e6),
    "very far row": far_row(1e12),
    "tiny scale": normal() * 1e-12,
    "tinier scale": normal() * 1e-150,
    "huge scale": normal() * 1e100,
    "huge offset": normal() + 1e9,
    "tight clusters": two_clusters(1e-9),
    "heavy tails": np.random.RandomState(0).standard_cauchy(size=(100, 2)),
    "line": np.column_stack([np.arange(50.0), np.arange(50.0)]),
}


def assert_sane(estimator, X):
    assert np.isfinite(estimator.score_samples(X)).all()
    probabilities = estimator.predict_proba(X)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(1), 1)
    drawn, _ = estimator.sample(50)
    assert np.isfinite(drawn).all()
    assert np.isfinite(estimator.weights_).all()
    assert np.isfinite(estimator.lower_bound_)


class TestHardData:
    @every_estimator
    @pytest.mark.parametrize("X", HARD_DATA.values(), ids=HARD_DATA)
    def test_answers_are_finite(self, estimator_class, X, device):
        assert_sane(make(estimator_class, device).fit(X, alternate(len(X))), X)

    @pytest.mark.parametrize("estimator_class", UNSUPERVISED)
    @pytest.mark.parametrize("X", HARD_DATA.values(), ids=HARD_DATA)
    def test_answers_without_labels_are_finite(self, estimator_class, X, device):
        assert_sane(make(estimator_class, device).fit(X), X)

    @every_estimator
    @pytest.mark.parametrize("distance", [1e6, 1e30, 1e300, -1e300, np.finfo(float).max])
    @pytest.mark.parametrize("flow", ["affine", "realnvp", "nsf"])
    def test_far_rows_have_finite_answers(self, estimator_class, distance, flow, device):
        estimator = make(estimator_class, device, flow=flow, max_iter=1).fit(normal(), alternate(40))
        far = np.array([[distance, 0], [0, distance], [distance, distance], [0, 0]])
        assert_sane(estimator, far)
        assert estimator.score_samples(far).argmax() == 3

    @pytest.mark.parametrize("estimator_class", UNSUPERVISED)
    @pytest.mark.parametrize("n_components", [1, 5])
    def test_more_components_than_clusters(self, estimator_class, n_components, device):
        X = normal()
        estimator = make(estimator_class, device, n_components=n_components).fit(X)
        assert_sane(estimator, X)
        n_members = max(len(estimator.history_.members), 1)
        assert estimator.weights_.shape == (n_components * n_members,)

    @pytest.mark.parametrize("estimator_class", UNSUPERVISED)
    @pytest.mark.parametrize("init_params", ["auto", "gmm", "kmeans", "k-means++", "random", "random_from_data"])
    def test_as_many_components_as_distinct_rows(self, estimator_class, init_params, device):
        X = normal(5).repeat(6, 0)
        assert_sane(make(estimator_class, device, n_components=5, init_params=init_params).fit(X), X)

    @every_estimator
    def test_class_of_one_row(self, estimator_class, device):
        X, y = normal(), np.zeros(40, dtype=int)
        y[7] = 1
        assert_sane(make(estimator_class, device).fit(X, y), X)

    @every_estimator
    def test_equal_rows_of_different_classes(self, estimator_class, device):
        X = normal(10).repeat(2, 0)
        estimator = make(estimator_class, device).fit(X, alternate(20))
        assert_sane(estimator, X)

    @every_estimator
    def test_class_whose_rows_weigh_nothing(self, estimator_class, device):
        X, y = normal(), np.arange(40) % 3
        assert_sane(make(estimator_class, device).fit(X, y, sample_weight=(y < 2).astype(float)), X)

    @every_estimator
    def test_weights_of_very_different_size(self, estimator_class, device):
        X = normal()
        weight = np.logspace(-12, 12, 40)
        assert_sane(make(estimator_class, device).fit(X, alternate(40), sample_weight=weight), X)

    @pytest.mark.parametrize("step_size", [0.3, 1])
    def test_huge_step_size_ends_in_a_finite_state(self, step_size, device):
        X = normal()
        model = make(FlowMixtureDensity, device, learning_rate_init=step_size, max_iter=20).fit(X)
        assert_sane(model, X)
        assert np.isfinite(model.sample(20)[0]).all()


CONTAINERS = {
    "float16": lambda X: X.astype(np.float16),
    "float32": lambda X: X.astype(np.float32),
    "int8": lambda X: X.astype(np.int8),
    "uint64": lambda X: (X - X.min()).astype(np.uint64),
    "bool": lambda X: X > 0,
    "lists": lambda X: X.tolist(),
    "Fortran order": np.asfortranarray,
    "columns of a wider array": lambda X: np.column_stack([X, X])[:, ::2],
    "every other row": lambda X: X.repeat(2, 0)[::2],
    "reversed": lambda X: X[::-1],
    "objects": lambda X: X.astype(object),
    "frame": lambda X: pd.DataFrame(X, columns=["a", "b"]),
    "big endian": lambda X: X.astype(">f8"),
}


class TestContainers:
    @pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
    def test_form_of_the_rows_does_not_matter(self, container, device):
        X = container(np.round(normal(30) * 8))
        plain = np.array(X, dtype=np.float64, order="C")
        estimator, reference = (make(FlowMixtureDensity, device, max_iter=2) for _ in range(2))
        np.testing.assert_allclose(
            estimator.fit(X).score_samples(X), reference.fit(plain).score_samples(plain), rtol=1e-9
        )

    @every_estimator
    def test_rows_may_be_read_only_and_stay_as_they_are(self, estimator_class, device):
        X, y, weight = normal(), alternate(40), np.ones(40)
        before = X.copy()
        for array in (X, y, weight):
            array.setflags(write=False)
        assert_sane(make(estimator_class, device).fit(X, y, sample_weight=weight), X)
        np.testing.assert_array_equal(X, before)
