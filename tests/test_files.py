"""Files of estimators: whole or refused, answers to the bit, and no code that a file brings."""

import copy
import io
import json
import os
import pickle
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import make_moons
from sklearn.exceptions import InconsistentVersionWarning

import skflowmix
from skflowmix import FlowMixtureClassifier, FlowMixtureClustering, FlowMixtureDensity, FlowMixturePosterior
from skflowmix.estimators import _files
from skflowmix.files import archive, classes, register
from skflowmix.modules import Base, make_flow
from skflowmix.modules.description import describe, rebuild
from skflowmix.modules.transforms import Elementwise, ScalarMap, ShiftMap, Transform

X, Y = make_moons(60, noise=0.1, random_state=0)
QUICK = {"n_layers": 2, "hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
POSTERIOR = {"flow": "affine", "n_draws": 16, "n_leapfrog_steps": 1, "max_iter": 1, "random_state": 0}
pytestmark = [
    pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The bound still improved:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:The mixture misses parts:UserWarning"),
]


def through_file(estimator, folder):
    estimator.save(folder / "model")
    return type(estimator).load(folder / "model")


def answers(estimator):
    """All that an estimator of rows answers."""
    drawn, component = estimator.sample(5, random_state=0)
    return [
        *(getattr(estimator, name)(X) for name in ("predict", "predict_proba", "score_samples", "component_log_prob")),
        *(drawn, component, estimator.weights_, np.ravel(estimator.history_.training_score)),
        *(estimator.lower_bound_, estimator.n_iter_, estimator.n_components_),
    ]


def assert_same(one, other):
    for mine, its in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.fixture(scope="module")
def density():
    return FlowMixtureDensity(2, n_estimators=1, device="cpu", **QUICK).fit(X)


@pytest.fixture
def saved(density, tmp_path):
    density.save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


class TestAnswers:
    @pytest.mark.parametrize("flow", ["affine", "planar", "radial", "prelu", "glow", "iaf", "nsf-ar", ["nsf", "maf"]])
    def test_every_kind_of_flow(self, flow, device, tmp_path):
        model = FlowMixtureDensity(2, flow=flow, n_estimators=1, device=device, **QUICK | {"max_iter": 1}).fit(X)
        again = through_file(model, tmp_path)
        assert again.get_params() == model.get_params()
        assert_same(answers(again), answers(again if device == "cuda" else model))

    @pytest.mark.parametrize(
        ("estimator", "parameters"),
        [
            (FlowMixtureClustering, {"posterior": "amortized", "init_params": np.full((60, 2), 0.5)}),
            (FlowMixtureClassifier, {"n_shared_layers": 1, "base": "student_t", "device": torch.device("cpu")}),
            (FlowMixtureDensity, {"n_estimators": 2, "base": "uniform", "weights_init": [0.25, 0.75]}),
            (FlowMixtureDensity, {"solver": "em", "base": "logistic", "random_state": np.random.RandomState(0)}),
        ],
    )
    def test_every_kind_of_fit(self, estimator, parameters, device, tmp_path):
        classes = np.array(["left", "right"], dtype=object)[Y]
        model = estimator(2, **{"device": device, **QUICK, **parameters}).fit(X, classes)
        again = through_file(model, tmp_path)
        assert [str(value)[:20] for value in again.get_params().values()] == [
            str(value)[:20] for value in model.get_params().values()
        ]
        assert_same(answers(again), answers(model))
        if estimator is FlowMixtureClustering:
            np.testing.assert_array_equal(again.labels_, model.labels_)

    def test_a_copy_goes_on_from_where_the_fit_was(self, device, tmp_path):
        model = FlowMixtureDensity(2, n_estimators=1, device=device, warm_start=True, **QUICK).fit(X)
        again = through_file(model, tmp_path)
        np.testing.assert_array_equal(again.fit(X).score_samples(X), model.fit(X).score_samples(X))

    def test_tables_keep_their_names_and_configuration(self, device, tmp_path):
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame(X, columns=["a", "b"])
        model = FlowMixtureClustering("auto", device=device, **QUICK).fit(table)
        again = through_file(model, tmp_path)
        assert again.feature_names_in_.tolist() == ["a", "b"]
        assert again.n_components_scores_ == model.n_components_scores_
        np.testing.assert_array_equal(again.predict(table), model.predict(table))

    @pytest.mark.parametrize("transition", [None, "hamiltonian", "over-relaxed"])
    def test_posteriors(self, transition, device, tmp_path):
        def log_density(theta):
            return -0.5 * theta.square().sum(1)

        model = FlowMixturePosterior(1, transition=transition, device=device, **POSTERIOR)
        model.set_params(bounds=[(-9, np.inf), None]).fit(log_density, 2)
        again = through_file(model, tmp_path)
        assert (again.log_evidence_, again.pareto_k_, again.n_iter_) == (
            model.log_evidence_,
            model.pareto_k_,
            model.n_iter_,
        )
        draws = [one.sample(9, random_state=0, method="resample", log_density=log_density) for one in (model, again)]
        np.testing.assert_array_equal(*draws)

    @pytest.mark.parametrize("name", sorted(set(skflowmix.__all__) - {"__version__"}))
    def test_every_estimator_has_files(self, name, device, tmp_path):
        """What needs other parameters to be fitted in a moment is in one of the tests above as well."""
        model = getattr(skflowmix, name)()
        quick = {"max_iter": 1, "hidden_layer_sizes": (4,), "n_layers": 1, "n_components": 2, "n_latent_features": 1}
        model.set_params(**{name: quick[name] for name in set(quick) & set(model.get_params())}, device=device)
        model.set_params(random_state=0)
        unit = (X - X.min(0)) / np.ptp(X, 0)
        data = (lambda theta: -theta.square().sum(1), 2) if name == "FlowMixturePosterior" else (unit, Y)
        again = through_file(model.fit(*data), tmp_path)
        asked = [method for method in ("predict", "transform", "score_samples") if hasattr(model, method)]
        for method in asked:
            np.testing.assert_array_equal(getattr(again, method)(unit), getattr(model, method)(unit))
        assert asked
        assert again.n_iter_ == model.n_iter_

    @pytest.mark.parametrize(
        "parameters",
        [
            {"posterior": "iaf", "likelihood": "normal"},
            {"posterior": "hamiltonian", "likelihood": "logistic"},
            {"posterior": "planar", "prior": "flow-mixture"},
            {"posterior": "full"},
        ],
    )
    def test_autoencoders(self, parameters, device, tmp_path):
        quick = {"hidden_layer_sizes": (4,), "n_latent_features": 2, "max_iter": 1, "random_state": 0}
        model = skflowmix.FlowAutoencoder(device=device, **quick, **parameters).fit((X - X.min(0)) / np.ptp(X, 0))
        again = through_file(model, tmp_path)
        for method in ("transform", "score_samples"):
            np.testing.assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))

    def test_every_module_of_the_package_is_known(self):
        def below(cls):
            return {cls, *(one for sub in cls.__subclasses__() for one in below(sub))}

        wanted = [cls for parent in (Transform, Base, ScalarMap, torch.nn.Module) for cls in below(parent)]
        own = {cls for cls in wanted if cls.__module__.startswith("skflowmix.modules")}
        assert own - set(classes.NAMES) == set()

    def test_modules_are_built_from_their_descriptions(self, make_mixture):
        mixture = make_mixture("maf")
        again = rebuild(describe(mixture))
        state = again.state_dict()
        assert state.keys() == mixture.state_dict().keys()
        for name, tensor in mixture.state_dict().items():
            assert torch.equal(state[name], tensor)
        assert str(again) == str(mixture)


class TestFunctions:
    def test_functions_among_the_parameters_are_dropped_with_a_warning(self, device, tmp_path):
        flow = partial(make_flow, "realnvp")
        model = FlowMixtureDensity(2, flow=flow, device=device, warm_start=True, **QUICK).fit(X)
        with pytest.warns(UserWarning, match="hold no functions: in '.*model' flow will have the default"):
            again = through_file(model, tmp_path)
        assert again.flow == "nsf"
        assert_same(answers(again), answers(model))
        with pytest.raises(ValueError, match="differs in flow"):
            again.fit(X)
        through_file(again, tmp_path)

    def test_classes_of_ones_own_are_made_known(self, device, tmp_path, monkeypatch):
        for table in (classes.CLASSES, classes.NAMES):
            for key, value in dict(table).items():
                monkeypatch.setitem(table, key, value)

        class Slid(Elementwise):
            pass

        model = FlowMixtureDensity(1, flow=lambda c, d: Slid(c, d, ShiftMap()), device=device, **QUICK).fit(X)
        with pytest.raises(TypeError, match=r"not saved to '.*model': files hold no .*Slid.*files\.register"):
            model.save(tmp_path / "model")
        assert os.listdir(tmp_path) == []
        register(Slid)
        try:
            with pytest.warns(match="hold no functions"):
                assert_same(answers(through_file(model, tmp_path)), answers(model))
            with pytest.raises(ValueError, match="another class named Normal"):
                register(type("Normal", (), {}))
        finally:
            del classes.CLASSES["Slid"], classes.NAMES[Slid]


def loaded_or_refused(path):
    """The estimator in a file, or why there is none."""
    try:
        return FlowMixtureDensity.load(path), None
    except ValueError as error:
        return None, str(error)


class TestDamage:
    def test_200_flipped_bytes_are_an_error_or_change_nothing(self, density, saved):
        whole, random, expected = saved.read_bytes(), np.random.RandomState(0), density.score_samples(X[:3])
        refused = 0
        for place in random.choice(len(whole), 200, replace=False):
            flipped = bytearray(whole)
            flipped[place] ^= random.randint(1, 256)
            saved.write_bytes(flipped)
            found, message = loaded_or_refused(saved)
            refused += found is None
            if found is None:
                assert str(saved) in message
            else:
                np.testing.assert_array_equal(found.score_samples(X[:3]), expected)
        assert refused > 150

    @pytest.mark.parametrize("length", [0, 1, 100, -100, -1])
    def test_what_is_cut_off_is_an_error(self, saved, length):
        saved.write_bytes(saved.read_bytes()[:length])
        with pytest.raises(ValueError, match=r"model\.npz' is no file that `save` wrote"):
            FlowMixtureDensity.load(saved)

    def test_a_pickle_runs_nothing(self, saved):
        class Malicious:
            def __reduce__(self):
                return os.mkdir, (str(saved.parent / "broken"),)

        saved.write_bytes(pickle.dumps(Malicious()))
        with pytest.raises(ValueError, match=r"model\.npz' is no file that `save` wrote, but a pickle"):
            FlowMixtureDensity.load(saved)
        np.savez(saved, metadata=np.array(Malicious(), dtype=object), checksum=np.zeros(3), allow_pickle=True)
        with pytest.raises(ValueError, match=r"model\.npz"):
            FlowMixtureDensity.load(saved)
        forge(saved, lambda members: members.update({"array_0.npy": pickled(Malicious())}))
        with pytest.raises(ValueError, match=r"model\.npz.*allow_pickle=False"):
            FlowMixtureDensity.load(saved)
        assert os.listdir(saved.parent) == ["model.npz"]

    @pytest.mark.parametrize("name", ["os.system", "Popen", "FlowMixtureDensity", "object", "__import__"])
    def test_other_classes_are_unknown(self, saved, name):
        forge(saved, lambda members: rename(members, '["FittedMixture", ', f'["{name}", '))
        with pytest.raises(ValueError, match=r"model\.npz.*does not know: KeyError"):
            FlowMixtureDensity.load(saved)

    def test_a_later_format_is_named(self, saved):
        forge(saved, lambda members: rename(members, '"format": 1', '"format": 2'))
        with pytest.raises(ValueError, match=r"model\.npz' has format 2, of skflowmix .*reads format 1"):
            FlowMixtureDensity.load(saved)

    def test_parameters_that_there_are_not_are_an_error(self, saved):
        forge(saved, lambda members: rename(members, '"n_layers"', '"n_sheets"'))
        with pytest.raises(ValueError, match=r"model\.npz'.*n_sheets"):
            FlowMixtureDensity.load(saved)

    def test_another_class_is_an_error(self, saved):
        with pytest.raises(TypeError, match=r"model\.npz' holds a FlowMixtureDensity, not a FlowMixturePosterior"):
            FlowMixturePosterior.load(saved)

    def test_no_file_is_an_error(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nothing"):
            FlowMixtureDensity.load(tmp_path / "nothing")


def members_of(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def pickled(value):
    content = io.BytesIO()
    np.save(content, np.array([value], dtype=object), allow_pickle=True)
    return content.getvalue()


def forge(path, change):
    """Change members of a file, and give it the checksum that belongs to them."""
    members = members_of(path)
    del members["checksum.npy"]
    change(members)
    members["checksum.npy"] = archive._bytes_of(archive._checksum(members))
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def rename(members, old, new):
    text = archive._array_of(members["metadata.npy"]).tobytes()
    assert old.encode() in text
    changed = text.replace(old.encode(), new.encode())
    members["metadata.npy"] = archive._bytes_of(np.frombuffer(changed, dtype=np.uint8))


class TestWriting:
    def test_numpy_opens_it(self, density, saved):
        with np.load(saved, allow_pickle=False) as content:
            metadata = json.loads(content["metadata"].tobytes())
        assert (metadata["class"], metadata["format"]) == ("FlowMixtureDensity", 1)
        assert metadata["versions"]["torch"] == torch.__version__

    def test_the_same_model_is_the_same_file(self, density, saved):
        first = saved.read_bytes()
        density.save(saved)
        assert saved.read_bytes() == first

    @pytest.mark.parametrize("failing", ["fsync", "replace"])
    def test_a_save_that_fails_leaves_the_old_file(self, density, saved, monkeypatch, failing):
        def fail(*_):
            raise OSError("no space left on device")

        saved.write_bytes(b"old")
        monkeypatch.setattr(os, failing, fail)
        with pytest.raises(OSError, match="no space left"):
            density.save(saved)
        assert saved.read_bytes() == b"old"
        assert os.listdir(saved.parent) == ["model.npz"]

    def test_links_go_on_leading_to_the_file(self, density, saved):
        link = saved.parent / "link"
        link.symlink_to(saved)
        copy.deepcopy(density).set_params(n_components=7).save(link)
        assert link.is_symlink()
        assert FlowMixtureDensity.load(saved).n_components == 7


class TestPickles:
    def test_another_version_warns(self, density, monkeypatch):
        content = pickle.dumps(density)
        assert_same(answers(pickle.loads(content)), answers(density))
        monkeypatch.setattr(_files, "__version__", "99.0")
        with pytest.warns(InconsistentVersionWarning, match=rf"pickled by skflowmix {skflowmix.__version__}, and this"):
            assert_same(answers(pickle.loads(content)), answers(density))

    def test_copies_hold_no_stamp(self, density):
        assert vars(pickle.loads(pickle.dumps(density))).keys() == vars(density).keys()

    def test_skops_needs_no_trust_but_in_this_package_and_torch(self, density):
        skops = pytest.importorskip("skops.io")
        content = skops.dumps(density)
        unknown = skops.get_untrusted_types(data=content)
        assert {name.partition(".")[0] for name in unknown} == {"skflowmix", "torch"}
        assert_same(answers(skops.loads(content, trusted=unknown)), answers(density))

    def test_skops_takes_posteriors(self, device):
        skops = pytest.importorskip("skops.io")
        model = FlowMixturePosterior(1, device=device, **POSTERIOR).fit(lambda theta: -theta.square().sum(1), 2)
        content = skops.dumps(model)
        again = skops.loads(content, trusted=skops.get_untrusted_types(data=content))
        np.testing.assert_array_equal(again.score_samples(X), pickle.loads(pickle.dumps(model)).score_samples(X))
