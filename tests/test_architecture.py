"""What the layout promises: imports point one way, files are short, and nothing global is touched."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import skflowmix

PACKAGE = Path(skflowmix.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES, MAX_MEDIAN = 300, 150

LAYERS = [
    {"_version", "notes", "default_dtype", "threads", "warn"},
    {"modules"},
    {"training", "partitions", "bridge"},
    {"fitting"},
    {"autoencoding", "inference"},
    {"files"},
    {"estimators", "displays"},
    {"__init__"},
]
ROOMS_OF_MODULES = [
    {"component_axis", "constants", "description", "draws", "perceptrons", "workload"},
    {"nets", "weight_noise"},
    {"dense", "transforms"},
    {"bases"},
    {"flows", "posterior", "chains", "likelihoods", "sharing", "transitions"},
    {"encoders", "mixture", "conditional"},
    {"autoencoder", "averages", "labelled_autoencoder"},
    {"__init__"},
]
RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
RANK_IN_MODULES = {part: rank for rank, layer in enumerate(ROOMS_OF_MODULES) for part in layer}
MAY_IMPORT_SKLEARN = {"autoencoding", "estimators", "fitting", "inference", "bridge", "partitions"}


def part_of(path):
    """The entry of the package's folder that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def module_of(path):
    return ("skflowmix", *path.relative_to(PACKAGE).with_suffix("").parts)


def imported_modules(path):
    """Absolute dotted names that a file imports; `from . import name` counts as the name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(module_of(path)[: -node.level]) if node.level else []
            base += node.module.split(".") if node.module else []
            if base == ["skflowmix"]:
                yield from (f"skflowmix.{alias.name}" for alias in node.names)
            else:
                yield ".".join(base)


def own_imports(path):
    return {name.split(".")[1] for name in imported_modules(path) if name.startswith("skflowmix.")}


def imports_within_modules(path):
    return {name.split(".")[2] for name in imported_modules(path) if name.startswith("skflowmix.modules.")}


each_file = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])


def test_every_module_has_a_layer():
    assert {part_of(path) for path in FILES} == set(RANK)


def test_the_walk_sees_imports():
    assert imports_within_modules(PACKAGE / "modules" / "transforms" / "coupling.py") == {"nets", "transforms"}
    assert own_imports(PACKAGE / "fitting" / "supply.py") == {"bridge", "fitting", "training"}
    assert {"estimators", "_version"} <= own_imports(PACKAGE / "__init__.py")


@each_file
def test_imports_point_one_way(path):
    part = part_of(path)
    wrong = {name for name in own_imports(path) - {part} if RANK[name] >= RANK[part]}
    assert wrong == set(), f"{part} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) == "modules"], ids=lambda path: path.stem)
def test_imports_of_modules_point_one_way(path):
    part = path.relative_to(PACKAGE / "modules").with_suffix("").parts[0]
    wrong = {name for name in imports_within_modules(path) - {part} if RANK_IN_MODULES[name] >= RANK_IN_MODULES[part]}
    assert wrong == set(), f"modules/{part} may not import {sorted(wrong)}"


@each_file
def test_only_the_outer_layers_import_scikit_learn(path):
    imports = {name.split(".")[0] for name in imported_modules(path)}
    assert "sklearn" not in imports or part_of(path) in MAY_IMPORT_SKLEARN


@each_file
def test_filters_of_warnings_are_nobodys_to_set(path):
    """They are one list for all threads, so that fits that overlap would leave it changed for good."""
    named = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    assert not named & {"catch_warnings", "simplefilter", "filterwarnings", "resetwarnings"}


@each_file
def test_file_is_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_most_files_are_short():
    assert np.median([len(path.read_text().splitlines()) for path in FILES]) <= MAX_MEDIAN


def own_ancestors(cls):
    return [ancestor for ancestor in cls.__mro__[1:] if ancestor.__module__.startswith("skflowmix.")]


@each_file
def test_no_tower_of_classes(path):
    module = importlib.import_module(".".join(module_of(path)).removesuffix(".__init__"))
    classes = [cls for cls in vars(module).values() if inspect.isclass(cls) and cls.__module__ == module.__name__]
    towers = [cls.__name__ for cls in classes if len(own_ancestors(cls)) > 1]
    assert towers == [], f"{towers} inherit from more than one other class of this package"


@each_file
def test_nothing_prints_but_the_report(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    prints = [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
    assert not prints or path == PACKAGE / "training" / "report.py"


def test_there_is_no_drawer_for_everything():
    assert not [path for path in FILES if path.stem.strip("_") in {"utils", "util", "helpers", "common", "misc"}]


GLOBAL_STATE = """
import os, random, sys, warnings
import numpy as np, torch

def found():
    return {
        "torch generator": torch.get_rng_state().tolist(),
        "numpy generator": [str(part) for part in np.random.get_state()],
        "python generator": random.getstate(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "matmul precision": torch.get_float32_matmul_precision(),
        "cudnn": (torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "gradients": torch.is_grad_enabled(),
        "anomaly detection": torch.is_anomaly_enabled(),
        "floating point errors": np.geterr(),
        "print options": np.get_printoptions(),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "folder": (os.getcwd(), sorted(os.listdir())),
    }

def assert_unchanged(before, action):
    after = found()
    changed = [name for name in before if after[name] != before[name]]
    assert not changed, f"{action} changed {changed}"
"""

IMPORT = """
import sklearn.mixture, sklearn.semi_supervised, sklearn.utils.estimator_checks
before = found()
import skflowmix
assert_unchanged(before, "importing skflowmix")
"""

FIT = """
warnings.simplefilter("ignore")
X = np.random.RandomState(0).standard_normal((60, 2))
for default, dtype, n_threads in [("float32", "float32", 1), ("float64", "float32", 2), ("float32", "float64", 1)]:
    torch.set_default_dtype(getattr(torch, default))
    torch.set_num_threads(n_threads)
    before = found()
    model = skflowmix.FlowMixtureDensity(
        2, max_iter=2, n_layers=1, hidden_layer_sizes=(8,), dtype=dtype, device="cpu", random_state=0
    )
    model.fit(X).score_samples(X)
    model.sample(5)
    assert_unchanged(before, f"fitting in {dtype} where {default} is the default")
assert "torch._dynamo" not in sys.modules, "fitting imported torch's compiler, which takes a second"
"""


def test_import_and_fit_are_silent_and_leave_global_state_alone(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", GLOBAL_STATE + IMPORT + FIT],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PACKAGE.parent), "PATH": "", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert (result.stdout, result.stderr) == ("", "")
