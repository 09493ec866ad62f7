"""What editors and type checkers show of the estimators."""

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import skflowmix
from skflowmix import (
    FlowAutoencoder,
    FlowAutoencoderClassifier,
    FlowMixtureClassifier,
    FlowMixtureClustering,
    FlowMixtureDensity,
)

ESTIMATORS = [FlowMixtureClustering, FlowMixtureDensity, FlowMixtureClassifier]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
every_one_with_words_of_its_own = pytest.mark.parametrize(
    "estimator", [*ESTIMATORS, FlowAutoencoder, FlowAutoencoderClassifier]
)
DIFFER = {"n_components", "n_components_", "n_shared_layers"}


def docstring_in_source(estimator):
    tree = ast.parse(textwrap.dedent(inspect.getsource(estimator)))
    return inspect.cleandoc(ast.get_docstring(tree.body[0], clean=False))


def entries(docstring, section):
    """Name to text of the entries of a section of a numpydoc docstring."""
    body = re.search(rf"(?ms)^{section}\n-+\n(.*?)(?=\n\n\w[^\n]*\n-+\n|\Z)", docstring)[1]
    parts = re.split(r"(?m)^(\w+) : ", body)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@every_one_with_words_of_its_own
def test_docstring_in_the_source_is_complete(estimator):
    assert docstring_in_source(estimator) == inspect.getdoc(estimator)
    signature = inspect.signature(estimator).parameters
    documented = entries(inspect.getdoc(estimator), "Parameters")
    assert list(documented) == list(signature)


@every_one_with_words_of_its_own
def test_documented_defaults_are_those_of_the_signature(estimator):
    documented = entries(inspect.getdoc(estimator), "Parameters")
    for name, parameter in inspect.signature(estimator).parameters.items():
        default = documented[name].splitlines()[0].rpartition("default=")[2]
        assert ast.literal_eval(default) == parameter.default, name


@pytest.mark.parametrize("section", ["Parameters", "Attributes"])
def test_shared_parts_are_equal(section):
    documented = [entries(inspect.getdoc(estimator), section) for estimator in ESTIMATORS]
    shared = set.intersection(*map(set, documented)) - DIFFER
    assert len(shared) > 10
    for name in shared:
        assert len({of[name].strip() for of in documented}) == 1, name


@every_estimator
def test_every_documented_attribute_is_there_after_a_fit(estimator):
    X = [[0.0], [1.0], [5.0], [6.0], [7.0], [2.0]]
    with pytest.warns(match="max_iter"):
        model = estimator("auto", max_iter=1, random_state=0).fit(X, [0, 0, 1, 1, -1, 0])
    missing = [name for name in entries(inspect.getdoc(estimator), "Attributes") if not hasattr(model, name)]
    assert [name for name in missing if name != "offset_"] == ["feature_names_in_"]  # which takes contamination


@every_estimator
def test_shared_parameters_have_one_signature(estimator):
    mine, other = (inspect.signature(cls).parameters for cls in (estimator, FlowMixtureDensity))
    for name in set(mine) & set(other) - DIFFER:
        assert mine[name] == other[name]


@every_one_with_words_of_its_own
def test_a_wrong_keyword_names_the_public_class(estimator):
    with pytest.raises(TypeError, match=rf"{estimator.__name__}\.__init__\(\) got an unexpected keyword argument 'k'"):
        estimator(k=3)


SCRIPT = """
import numpy as np
import skflowmix
from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity

X = np.random.default_rng(0).normal(size=(100, 2))
labels: np.ndarray = FlowMixtureClustering(n_components={n_components}, flow="nsf").fit_predict(X)
density = FlowMixtureDensity("auto", hidden_layer_sizes=(8,), max_iter=3, random_state=0).fit(X)
log_prob: np.ndarray = density.score_samples(X)
rows, component = density.sample(10)
print(density.weights_.sum(), density.score(X), density.history_.n_iter, rows.shape, component.max())
classifier: FlowMixtureClassifier = FlowMixtureClassifier(2).fit(X, labels)
print(classifier.predict_proba(X).shape, classifier.score(X, labels), classifier.predict(X).shape)
"""


@pytest.mark.parametrize(("n_components", "n_errors"), [("3", 0), ('"three"', 1)])
def test_a_users_script_passes_strict_type_checks_and_a_slip_is_found(n_components, n_errors, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(n_components=n_components))
    options = ["--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path / "cache")]  # as of what is installed
    command, where = [sys.executable, "-m", "mypy", *options, str(script)], str(Path(skflowmix.__file__).parents[1])
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={"MYPYPATH": where})
    errors = [line for line in result.stdout.splitlines() if ": error:" in line]
    assert len(errors) == n_errors, result.stdout + result.stderr
    assert all("n_components" in error and "three" in error for error in errors)
