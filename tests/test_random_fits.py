"""Whatever the parameters and the rows: a named error, or finite answers whose probabilities sum to one.

By hand, with more examples: ``SKFLOWMIX_EXAMPLES=2000 python -m pytest tests/test_random_fits.py``.
"""

import os
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

N_EXAMPLES = int(os.environ.get("SKFLOWMIX_EXAMPLES", "200"))
PRESETS = ["affine", "planar", "radial", "prelu", "nice", "realnvp", "glow", "nsf", "maf", "iaf", "nsf-ar"]


STARTS = {
    "callable": lambda X, n_components, weight, random_state: random_state.dirichlet(np.ones(n_components), len(X)),
    "callable of zeros": lambda X, n_components, weight, random_state: np.zeros((len(X), n_components)),
    "callable of one": lambda X, n_components, weight, random_state: np.eye(n_components)[np.zeros(len(X), dtype=int)],
    "callable of the largest": lambda X, n_components, weight, random_state: np.full((len(X), n_components), 1e308),
    "callable of strings": lambda X, n_components, weight, random_state: np.full((len(X), n_components), "a"),
    "array": None,
}


def sometimes(usual, *others):
    """Mostly a usual value, so that an example has a few odd ones and not all at once."""
    return st.integers(0, 9).flatmap(lambda i: st.sampled_from(others) if i == 9 else st.just(usual))


@st.composite
def parameters_of_fits(draw):
    """Parameters that mostly go together."""
    n_components = draw(st.sampled_from([1, 2, 3, "auto"]))
    numbers = {
        "reg_covar": sometimes(1e-6, 1e-12, 1.0),
        "supervised_weight": sometimes(1.0, 0.0, 1e6),
        "unlabelled_weight": sometimes(1.0, 0.0, 1e6),
        "consistency_weight": sometimes(0.0, 1.0, 1e6),
        "max_iter": st.integers(1, 4),
        "batch_size": sometimes("auto", 1, 7),
        "learning_rate_init": sometimes(5e-3, 1e-9, 0.1, 1.0),
        "alpha": sometimes(0.0, 1.0, 1e6),
        "validation_fraction": sometimes(0.1, 0.01, 0.99),
        "n_iter_no_change": sometimes(10, 1),
        "tol": sometimes(1e-4, 0.0, 1e300),
        "n_layers": st.integers(1, 2),
        "n_init": sometimes(1, 2),
        "random_state": st.integers(0, 5),
    }
    others = {
        "flow": st.sampled_from(PRESETS),
        "hidden_layer_sizes": st.sampled_from([(4,), (4, 4), ()]),
        "n_shared_layers": sometimes(0, 1),
        "base": sometimes("normal", "logistic", "student_t", "uniform"),
        "posterior": sometimes("exact", "amortized"),
        "solver": sometimes("gradient", "em", "hard-em"),
        "learn_weights": sometimes(True, False),
        "weight_concentration_prior": sometimes(None, 0.1, 3.0, 1e-12),
        "init_params": st.sampled_from(
            ["auto", "kmeans", "k-means++", "gmm", "random", "random_from_data", "spectral", *STARTS]
        ),
        "early_stopping": sometimes(True, False),
        "dtype": sometimes("float32", "float64"),
    }
    parameters = draw(st.fixed_dictionaries(numbers | others)) | {"n_components": n_components}
    if n_components != "auto":
        several = st.lists(st.sampled_from(PRESETS), min_size=n_components, max_size=n_components)
        parameters["flow"] = draw(st.one_of(*[st.just(parameters["flow"])] * 5, several))
        parameters["weights_init"] = draw(sometimes(None, [1.0] * n_components, [1e308, 1e-300, 1.0][:n_components]))
    return parameters


def spoil(X, rng, way):
    """Rows as they come in practice: some of them far away, constant, repeated, on a line, in odd units."""
    X = X.copy()
    if way == "heavy tails":
        X = rng.standard_cauchy(X.shape)
    elif way == "very heavy tails":
        X = np.sign(X) * np.exp(np.minimum(np.abs(20 * X), 600))
    elif way == "constant columns":
        X[:, ::2] = 7.0
    elif way == "duplicates":
        X = X[rng.randint(len(X), size=len(X)) % max(len(X) // 3, 2)]
    elif way == "collinear":
        X = X[:, :1] * np.arange(1, X.shape[1] + 1)
    elif way == "offsets":
        X = 1.7e9 + 1e-4 * X
    elif way == "denormal":
        X = 1e-310 * X
    elif way == "tiny":
        X = 1e-165 * X
    elif way == "huge":
        X = 1e200 * X
    elif way == "far row":
        X[0] = 1e12
    elif way == "codes":
        X[rng.uniform(size=X.shape) < 0.1] = -9999
    elif way == "integers":
        X = X.round()
    elif way == "mixed units":
        X = X * 10.0 ** rng.randint(-30, 30, X.shape[1])
    return X


WAYS = [
    *("plain", "heavy tails", "very heavy tails", "constant columns", "duplicates", "collinear", "offsets", "denormal"),
    *("tiny", "huge", "far row", "codes", "integers", "mixed units"),
]


@st.composite
def tables(draw):
    """Rows, labels or none, weights or none."""
    n_rows, n_features = draw(st.sampled_from([2, 3, 5, 9, 20, 20, 40, 40])), draw(st.sampled_from([1, 2, 3, 8, 30]))
    rng = np.random.RandomState(draw(st.integers(0, 1000)))
    X = spoil(rng.standard_normal((n_rows, n_features)), rng, draw(st.sampled_from(WAYS)))
    label = rng.randint(draw(st.integers(1, 3)), size=n_rows)
    y = draw(
        st.sampled_from(
            [
                None,
                label,
                np.where(rng.uniform(size=n_rows) < 0.5, label, -1),
                np.array(["ash", "birch", "yew"])[label],
                np.array([-1, "ash", "birch"], dtype=object)[label],
                np.array([-1, 0.5, 2.0])[label],
            ]
        )
    )
    weight = draw(
        st.sampled_from(
            [
                None,
                None,
                rng.uniform(size=n_rows),
                rng.randint(3, size=n_rows).astype(float),
                10.0 ** rng.uniform(-14, 14, n_rows),
                10.0 ** rng.uniform(-300, 300, n_rows),
            ]
        )
    )
    return X, y, weight


@settings(
    max_examples=N_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=N_EXAMPLES <= 200
)
@given(
    estimator_class=st.sampled_from([FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier]),
    parameters=parameters_of_fits(),
    labels=st.sampled_from(["partial", "all", "none"]),
    n_estimators=sometimes(1, 2),
    contamination=sometimes(None, 0.1, 0.5, 1e-9),
    again=sometimes(None, "the same", "half of them", "others"),
    table=tables(),
)
def test_a_fit_is_sane_or_a_named_error(
    device, estimator_class, parameters, labels, n_estimators, contamination, again, table
):
    X, y, weight = table
    parameters = parameters | {"init_params": first_responsibilities(parameters, len(X)), "warm_start": bool(again)}
    if estimator_class is not FlowMixtureClassifier:
        parameters = parameters | {"labels": labels}
    if estimator_class is FlowMixtureDensity:
        parameters = parameters | {"n_estimators": n_estimators, "contamination": contamination}
    model = estimator_class(**parameters, device=device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        warnings.filterwarnings("ignore", "y names .* classes", UserWarning)
        try:
            model.fit(X, y, sample_weight=weight)
        except ValueError as error:
            assert_named(error)
            return
        if again:
            fit_again(model, *table, again)
    probabilities = model.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.lower_bound_)
    rows, _ = model.sample(7, random_state=0)
    assert np.isfinite(rows).all()
    assert len(model.predict(X)) == len(X)
    if getattr(model, "contamination", None) is not None:
        assert np.isin(model.predict_outliers(X), [-1, 1]).all()


def first_responsibilities(parameters, n_rows):
    """What `init_params` names, where it is something that this file makes."""
    given, n_components = parameters["init_params"], parameters["n_components"]
    if given == "array":
        n_columns = 2 if n_components == "auto" else n_components
        return np.random.RandomState(0).uniform(size=(n_rows, n_columns))
    return STARTS.get(given, given)


def fit_again(model, X, y, weight, rows):
    """Go on from a fit: what fails is a named error, and leaves the fit as it was."""
    before, changed = model.score_samples(X), {"the same": X, "half of them": X[::2], "others": -3 * X[::-1] + 1}[rows]
    every = slice(None, None, 2 if rows == "half of them" else 1)
    try:
        model.fit(changed, None if y is None else y[every], sample_weight=None if weight is None else weight[every])
    except ValueError as error:
        assert_named(error)
        np.testing.assert_array_equal(model.score_samples(X), before)


RAW = [
    "empty sequence",
    "zero-size array",
    "broadcast",
    "shape mismatch",
    "singular matrix",
    "array must not contain infs",
    "math domain",
    "cholesky",
]


def assert_named(error):
    """The error is about what was given, and not what numpy made of it."""
    text = str(error)
    assert text[0].isupper() or text.split()[0].rstrip(",").split("=")[0].isidentifier(), text
    assert not any(raw in text.lower() for raw in RAW), text


@pytest.mark.parametrize("text", ["operands could not be broadcast together", "Singular matrix"])
def test_raw_errors_are_told_from_named_ones(text):
    with pytest.raises(AssertionError):
        assert_named(ValueError(text))
