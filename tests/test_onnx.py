"""Mixtures for other programs: the graphs that torch exports, and files of ONNX, answer as the estimators do."""

import copy
import json
import logging
import os
import sys
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError

from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity
from skflowmix.files import Answers, onnx
from skflowmix.modules import BASES, PRESETS
from skflowmix.modules.transforms import Elementwise, Inverse, Planar, SinhArcsinhMap

X = np.random.RandomState(0).randn(60, 3) * [1, 100, 0] + [0, 5, 7]
FAR = np.vstack([X[:3] * 1e3, X[:3] * 1e12, X[:3] * 1e300, np.full((1, 3), 1.7e308), np.full((1, 3), -1.7e308)])
TABLES = {"one": X[:1], "a thousand": np.tile(X, (17, 1))[:1000], "far away": FAR}
TINY = {"n_layers": 1, "hidden_layer_sizes": (4,), "max_iter": 5, "learning_rate_init": 0.05, "random_state": 0}
LISTS = {
    "bends": ["affine", "planar", "radial", "prelu"],
    "affine couplings": ["nice", "realnvp", "glow"],
    "splines": ["nsf", "nsf-ar"],
    "sweeps, and a flow of one's own": ["maf", "iaf", lambda c, d: Elementwise(c, d, SinhArcsinhMap())],
}
TOLERANCE = 1e-11  # of log-densities, relative to their size where it is above one, and of probabilities
pytestmark = [
    pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # torch uses what it deprecates
]


@pytest.fixture
def runtime():
    pytest.importorskip("onnxscript")
    return pytest.importorskip("onnxruntime")


def session(runtime, path):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(path, options)


def assert_file_answers(runtime, model, path):
    """The file, once it has been seen to answer as the model does."""
    model.to_onnx(path)
    file = session(runtime, path)
    for rows in TABLES.values():
        log_density, probabilities = file.run(["log_density", "probabilities"], {"X": rows})
        np.testing.assert_allclose(probabilities, model.predict_proba(rows), rtol=0, atol=TOLERANCE)
        np.testing.assert_allclose(log_density, model.score_samples(rows), rtol=TOLERANCE, atol=TOLERANCE)
    return file


class TestFiles:
    @pytest.mark.parametrize("name", LISTS)
    def test_each_component_of_every_preset(self, name, device, runtime, tmp_path):
        flows = LISTS[name]
        model = FlowMixtureDensity(len(flows), flow=flows, n_estimators=1, device=device, **TINY).fit(X)
        log_density, probabilities = assert_file_answers(runtime, model, tmp_path / "model.onnx").run(None, {"X": X})
        log_joint = model.component_log_prob(X) + np.log(model.weights_)
        np.testing.assert_allclose(log_density[:, None] + np.log(probabilities), log_joint, rtol=1e-9, atol=1e-9)

    def test_these_are_all_presets(self):
        assert {flow for flows in LISTS.values() for flow in flows if isinstance(flow, str)} == PRESETS.keys()

    @pytest.mark.parametrize(
        ("estimator", "parameters"),
        [
            (FlowMixtureDensity, {"flow": "maf", "base": "student_t", "n_estimators": 2, "n_shared_layers": 1}),
            (FlowMixtureClustering, {"flow": "realnvp", "base": "uniform", "n_shared_layers": 1}),
            (FlowMixtureClassifier, {"flow": "planar", "base": "logistic", "posterior": "amortized"}),
        ],
    )
    def test_every_kind_of_fit(self, estimator, parameters, device, runtime, tmp_path):
        labels = np.array(["left", "middle", "right"])[np.arange(len(X)) % 3]
        model = estimator(2, device=device, **parameters, **TINY).fit(X, labels)
        file = assert_file_answers(runtime, model, tmp_path / "model.onnx")
        (given,), answers = file.get_inputs(), file.get_outputs()
        assert (given.name, given.shape, given.type) == ("X", ["n_samples", 3], "tensor(double)")
        assert [(one.name, one.shape[0]) for one in answers] == [
            ("log_density", "n_samples"),
            ("probabilities", "n_samples"),
        ]
        classes = json.loads(file.get_modelmeta().custom_metadata_map["classes"])
        assert classes == (model.classes_.tolist() if estimator is FlowMixtureClassifier else [])
        assert os.path.dirname(onnx.__file__).encode() not in (tmp_path / "model.onnx").read_bytes()


@pytest.fixture(scope="module")
def density():
    return FlowMixtureDensity(2, flow="affine", n_estimators=1, device="cpu", **TINY).fit(X)


@pytest.fixture(scope="module")
def content(density, tmp_path_factory):
    """What is in the file of the density."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    density.to_onnx(path)
    return path.read_bytes()


def test_pruned_components_have_no_probability(density):
    fitted = density._state
    pruned = replace(fitted, mixture=fitted.mixture.select([1]), slots=np.array([1]))
    rows = torch.from_numpy(X)
    log_density, probabilities = Answers(pruned, np.arange(2))(rows)
    torch.testing.assert_close(log_density.numpy(), density.component_log_prob(X)[:, 1], rtol=1e-12, atol=1e-12)
    assert probabilities.tolist() == [[0, 1]] * len(X)
    assert Answers(pruned, np.array([1, 0]))(rows)[1].tolist() == [[1, 0]] * len(X)


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    return path


class TestErrors:
    @pytest.fixture(autouse=True)
    def leaves_the_old_file(self, old):
        yield
        assert old.read_bytes() == b"old"
        assert os.listdir(old.parent) == ["model.onnx"]

    @pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
    def test_a_package_that_is_missing_is_named(self, density, old, monkeypatch, missing):
        monkeypatch.setitem(sys.modules, missing, None)
        if missing != "onnx":
            pytest.importorskip("onnx")
        with pytest.raises(ImportError, match=r"to_onnx requires .*: pip install 'skflowmix\[onnx\]'"):
            density.to_onnx(old)

    def test_a_search_for_a_number_cannot_be_written(self, device, runtime, old):
        model = FlowMixtureDensity(1, flow=lambda c, d: Inverse(Planar(c, d)), device=device, **TINY).fit(X)
        with pytest.raises(ValueError, match=r"model\.onnx' was not written.*data-dependent.*with a name can be"):
            model.to_onnx(old)

    def test_a_file_with_other_answers_is_not_written(self, density, content, old, monkeypatch):
        monkeypatch.setattr(onnx, "_content", lambda *_: content)
        other = copy.deepcopy(density)
        other.mixture_.logits.data[0, 1] += 0.1
        with pytest.raises(ValueError, match="its answers were others"):
            other.to_onnx(old)

    @pytest.mark.parametrize("failing", ["fsync", "replace"])
    def test_a_disk_that_is_full(self, density, old, monkeypatch, failing):
        def fail(*_):
            raise OSError("no space left on device")

        pytest.importorskip("onnxruntime")
        monkeypatch.setattr(os, failing, fail)
        monkeypatch.setattr(onnx, "_content", lambda *_: b"new")
        monkeypatch.setattr(onnx, "_check", lambda *_: None)
        with pytest.raises(OSError, match="no space left"):
            density.to_onnx(old)

    def test_what_is_not_fitted(self, old):
        with pytest.raises(NotFittedError):
            FlowMixtureDensity().to_onnx(old)


def test_nothing_global_decides_or_is_changed(density, content, tmp_path):
    logger, generator = logging.getLogger("torch.onnx"), torch.get_rng_state()
    level = logger.level
    with torch.inference_mode(), torch.device("meta"), np.errstate(all="raise"):
        density.to_onnx(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == content
    assert torch.equal(torch.get_rng_state(), generator)
    assert logger.level == level


class TestGraphsOfTorch:
    def exported(self, mixture):
        n_features = mixture.base.n_features
        example = torch.zeros(7, n_features, dtype=torch.float64)
        return torch.export.export(mixture, (example,), dynamic_shapes=({0: torch.export.Dim("n")},)).module()

    def assert_same(self, mixture, graph):
        for n_rows in (1, 2, 1000):
            rows = 3 * torch.randn(n_rows, mixture.base.n_features, dtype=torch.float64)
            log_prob, log_resp = graph(rows)
            torch.testing.assert_close(log_prob, mixture.log_prob(rows), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(log_resp, mixture.log_resp(rows), rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(("flow", "base"), list(zip(PRESETS, cycle(BASES), strict=False)))
    def test_every_preset_and_base(self, make_mixture, flow, base):
        mixture = make_mixture(flow, base=base)
        self.assert_same(mixture, self.exported(mixture))

    @pytest.mark.parametrize("parameters", [{"n_estimators": 2, "n_shared_layers": 1}, {"posterior": "amortized"}])
    def test_of_a_fit(self, parameters, device, tmp_path):
        model = FlowMixtureDensity(2, device=device, **TINY, **parameters).fit(X)
        mixture = model.mixture_.cpu()
        self.assert_same(mixture, self.exported(mixture))
