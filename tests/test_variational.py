"""FlowMixturePosterior: fits to log-densities whose integral, modes and moments are known."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import estimator_html_repr

from skflowmix import FlowMixturePosterior
from skflowmix.inference.approximation import Approximation, Seen
from skflowmix.inference.coordinates import Coordinates
from skflowmix.inference.start import cloud, find_start
from skflowmix.inference.target import Target
from skflowmix.modules import BASES, PRESETS
from skflowmix.training.loop import Run

COVARIANCE = np.array([[2.0, 0.9], [0.9, 0.5]])
PRECISION = torch.from_numpy(np.linalg.inv(COVARIANCE))
CENTER = torch.tensor([3.0, -40.0], dtype=torch.float64)
LOG_EVIDENCE = math.log(2 * math.pi) + math.log(np.linalg.det(COVARIANCE)) / 2 + 7
FAST = {"flow": "affine", "base": "normal", "random_state": 0, "n_draws": 128, "n_iter_no_change": 2, "tol": 0.01}
SMALL = {"n_components": 2, "n_layers": 2, "hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0, "n_draws": 64}
pytestmark = pytest.mark.filterwarnings("ignore:The bound still improved:sklearn.exceptions.ConvergenceWarning")
doubtful = pytest.mark.filterwarnings("ignore:The mixture misses parts")


def gaussian(theta):
    arm = theta - CENTER.to(theta)
    return 7 - 0.5 * ((arm @ PRECISION.to(theta)) * arm).sum(-1)


def gaussian_arrays(theta):
    arm = theta - CENTER.numpy()
    slope = -arm @ PRECISION.numpy()
    return 7 + 0.5 * (arm * slope).sum(-1), slope


def modes(theta):
    """Weights .3 and .7, thirty deviations apart; the integral is one."""
    centers = torch.tensor([[-30.0, 0.0], [0.0, 0.0]]).to(theta)
    weights = torch.tensor([0.3, 0.7]).to(theta)
    log_joint = weights.log() - 0.5 * (theta[:, None] - centers).square().sum(-1) - math.log(2 * math.pi)
    return log_joint.logsumexp(1)


def banana(theta):
    x, y = theta.unbind(-1)
    return -0.5 * x.square() - 2 * (y - 0.5 * x.square()).square()


def fit(log_density, device, n_features=2, **parameters):
    return FlowMixturePosterior(device=device, **parameters).fit(log_density, n_features)


@pytest.fixture(scope="module")
def fitted(device):
    return fit(gaussian, device, **FAST)


def test_a_gaussian_is_found_exactly(fitted):
    assert fitted.log_evidence_ == pytest.approx(LOG_EVIDENCE, abs=1e-3)
    assert fitted.elbo_ == pytest.approx(LOG_EVIDENCE, abs=1e-3)
    assert fitted.log_evidence_se_ < 1e-3
    assert fitted.ess_ > 9990
    assert (fitted.n_modes_, fitted.n_components_, fitted.n_features_in_) == (1, 1, 2)
    theta = fitted.sample(20_000, random_state=1)
    np.testing.assert_allclose(np.cov(theta.T), COVARIANCE, atol=0.08)
    np.testing.assert_allclose(theta.mean(0), CENTER, atol=0.05)
    log_p = gaussian(torch.from_numpy(theta[:50])) - LOG_EVIDENCE
    np.testing.assert_allclose(fitted.score_samples(theta[:50]), log_p, atol=0.05)


@pytest.mark.parametrize("n_components", [2, "auto"])
def test_modes_thirty_deviations_apart_are_found(n_components, device):
    posterior = fit(modes, device, n_components=n_components, **FAST)
    assert (posterior.n_modes_, posterior.n_components_) == (2, 2)
    np.testing.assert_allclose(np.sort(posterior.weights_), [0.3, 0.7], atol=0.01)
    assert posterior.log_evidence_ == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("temperature", "center", "scale"), [(1.0, 3, 1), (0.1, 0, 4)])
def test_one_component_begins_where_the_first_temperature_is(temperature, center, scale):
    """In one of two modes, or on both; these are two whatever the temperature."""

    def log_density(theta):
        return torch.logaddexp(-0.5 * (theta - 3).square(), -0.5 * (theta + 3).square()).sum(1)

    target = Target(log_density, vectorized=True, dtype=torch.float64)
    target.probe(torch.zeros(1, 1))
    seen = Seen(target, Coordinates.within(None, 1, torch.device("cpu")))
    generator = torch.Generator().manual_seed(0)
    points, reach = cloud(1, generator=generator, device="cpu")
    start = find_start(seen, points, reach, 1, temperature=temperature, generator=generator)
    assert start.n_modes == 2
    assert start.components.mean.abs().item() == pytest.approx(center, abs=0.7)
    assert start.components.cholesky.item() == pytest.approx(scale, rel=0.4)


def test_a_banana_is_bent(device):
    posterior = fit(banana, device, n_layers=4, max_iter=20, **FAST | {"flow": "realnvp", "base": "student_t"})
    assert posterior.log_evidence_ == pytest.approx(math.log(math.pi), abs=0.05)
    assert posterior.pareto_k_ < 0.7


@doubtful
@pytest.mark.parametrize("flow", [*PRESETS, ["planar", "maf"]], ids=str)
def test_every_flow_is_trained(flow, device):
    posterior = fit(banana, device, **SMALL | {"flow": flow})
    scores = [score for (score,) in posterior.history_.validation_score]
    assert max(scores) > posterior.history_.start_score[0]
    assert np.isfinite(posterior.score_samples(posterior.sample(20))).all()


@doubtful
@pytest.mark.parametrize(
    "parameters", [*({"base": base} for base in BASES), {"n_shared_layers": 1}, {"annealing_iter": 2}]
)
def test_every_base_shared_layers_and_temperatures(parameters, device):
    posterior = fit(banana, device, **SMALL | parameters)
    assert posterior.log_evidence_ == pytest.approx(math.log(math.pi), abs=0.3)


@doubtful
@pytest.mark.parametrize("flow", ["realnvp", "planar", "iaf"])
def test_one_feature(flow, device):
    posterior = fit(lambda theta: -0.5 * theta[:, 0].square(), device, 1, **SMALL | {"flow": flow})
    assert posterior.log_evidence_ == pytest.approx(math.log(2 * math.pi) / 2, abs=0.01)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_and_rows_are_the_same_density(fitted, dtype, device):
    fast = FAST | {"dtype": dtype, "max_iter": 1, "n_draws": 16}
    rowwise = {"vectorized": False, **fast}
    found = [
        fit(gaussian, device, **fast),
        fit(gaussian_arrays, device, **fast),
        fit(lambda row: gaussian(row), device, **rowwise),
        fit(lambda row: gaussian_arrays(row), device, **rowwise),
    ]
    for posterior in found:
        assert posterior.log_evidence_ == pytest.approx(LOG_EVIDENCE, abs=2e-3)


def test_bounds_are_kept(device):
    """A gamma density, a beta density and an exponential one that ends at zero, side by side."""

    def log_density(theta):
        rate, share, below = theta.unbind(-1)
        return 2 * rate.log() - 3 * rate + 3 * share.log() + torch.log1p(-share) + 2 * below

    bounds = [(0, np.inf), (0, 1), (-np.inf, 0)]
    posterior = fit(
        log_density,
        device,
        3,
        bounds=bounds,
        **FAST | {"flow": "realnvp", "base": "student_t", "n_layers": 4, "max_iter": 20, "n_iter_no_change": 4},
    )
    truth = math.log(2 / 27) + math.log(1 / 20) + math.log(1 / 2)
    assert posterior.log_evidence_ == pytest.approx(truth, abs=0.03)
    theta = posterior.sample(4000, random_state=1, method="resample")
    assert ((theta > [0, 0, -np.inf]) & (theta < [np.inf, 1, 0])).all()
    np.testing.assert_allclose(theta.mean(0), [1, 2 / 3, -0.5], atol=0.05)
    assert (posterior.score_samples([[-1, 0.5, -1], [1, 1, -1]]) == -np.inf).all()


def test_chains_are_right_though_the_mixture_is_not(fitted):
    """A tilt of the density by half of the first parameter moves the mean by half of its covariances."""
    posterior = copy.copy(fitted)
    tilted = {"log_density": lambda theta: gaussian(theta) + 0.5 * theta[:, 0]}
    theta = posterior.sample(4000, random_state=0, method="mcmc", **tilted)
    assert (posterior.r_hat_ < 1.02).all()
    assert (posterior.chain_ess_ > 1000).all()
    expected = CENTER.numpy() + 0.5 * COVARIANCE[0]
    error = 4 * np.sqrt(np.diag(COVARIANCE) / posterior.chain_ess_)
    assert (np.abs(theta.mean(0) - expected) < error).all()
    np.testing.assert_allclose(np.cov(theta.T), COVARIANCE, rtol=0.12)


@doubtful
def test_chains_are_right_between_components(device):
    posterior = fit(banana, device, n_components=2, **FAST)
    theta = posterior.sample(4000, random_state=0, method="mcmc")
    np.testing.assert_allclose(theta.mean(0), [0, 0.5], atol=0.15)
    np.testing.assert_allclose(theta.var(0), [1, 0.75], rtol=0.3)


def test_tails_that_are_missed_are_told(device):
    def cauchy(theta):
        return -2 * torch.log1p(theta.square()).sum(1) / 2 - theta.square().sum(1) / 1e6

    with pytest.warns(UserWarning, match=r"pareto_k_ is .* draw by sample\(method='mcmc'\)"):
        fit(cauchy, device, n_components=1, **FAST)


def test_weights_of_draws_have_the_targets_moments(fitted):
    theta = fitted.sample(3000, random_state=0)
    weights = fitted.importance_weights(theta, log_density=lambda t: gaussian(t) + 0.5 * t[:, 0])
    assert weights.sum() == pytest.approx(1)
    assert weights @ theta[:, 0] == pytest.approx(3 + 0.5 * 2, abs=0.15), "a tilt by .5 moves the mean by .5 variances"


def test_density_that_is_nil_in_places_is_counted(device):
    def half(theta):
        return torch.where(theta[:, 0] > 0, (-(theta - 1).square()).sum(1), torch.nan)

    with pytest.warns(UserWarning, match="NaN or -inf at .* of 10000 draws") as caught:
        posterior = fit(half, device, n_layers=2, **FAST | {"flow": "realnvp", "base": "student_t", "max_iter": 12})
    assert sum("10000 draws" in str(warning.message) for warning in caught) == 1
    truth = math.log(math.pi) + math.log((1 + math.erf(1)) / 2)
    assert posterior.log_evidence_ == pytest.approx(truth, abs=0.1)


@doubtful
def test_a_mode_at_the_edge_of_the_support(device):
    """Exponential densities without their bounds: every Gaussian has draws where there is nothing."""

    def log_density(theta):
        return torch.where((theta > 0).all(1), -theta.sum(1), -torch.inf)

    with pytest.warns(UserWarning, match="set bounds"):
        posterior = fit(log_density, device, **FAST | {"flow": "realnvp", "n_layers": 2, "max_iter": 12})
    assert posterior.log_evidence_ == pytest.approx(0, abs=0.3)


@pytest.mark.filterwarnings("ignore:log_density is NaN or -inf at:UserWarning")
@doubtful
@pytest.mark.parametrize("level", [-400.0, 400.0])
def test_draws_without_density_cost_the_same_whatever_the_evidence(level, device):
    def half(theta):
        return level + torch.where(theta[:, 0] > 0, (-(theta - 1).square()).sum(1), torch.nan)

    posterior = fit(half, device, n_layers=2, **FAST | {"flow": "realnvp", "max_iter": 6, "n_components": 1})
    truth = math.log(math.pi) + math.log((1 + math.erf(1)) / 2)
    assert posterior.log_evidence_ - level == pytest.approx(truth, abs=0.1)


ERRORS = {
    "no function": (3, TypeError, "must be a function"),
    "no tensor": (lambda t: 3.0, TypeError, "returned float"),
    "shape": (lambda t: gaussian(t)[:, None], ValueError, r"shape \(1, 1\)|shape \(96, 1\)"),
    "detached": (lambda t: gaussian(t).detach(), ValueError, "does not depend on its argument"),
    "other": (lambda t: torch.zeros(len(t), requires_grad=True), ValueError, "does not depend on its argument"),
    "infinite": (lambda t: gaussian(t) + torch.inf, ValueError, r"\+inf"),
    "nowhere": (lambda t: gaussian(t) * torch.nan, ValueError, "NaN or -inf at all"),
    "gradient": (lambda t: (gaussian_arrays(t)[0], np.zeros(3)), ValueError, "a gradient of shape"),
    "its own": (lambda t: t @ torch.ones(5), RuntimeError, "size mismatch|mat1|shapes"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_no_density_is_told_and_nothing_changes(name, fitted, device):
    log_density, error, message = ERRORS[name]
    posterior = copy.deepcopy(fitted)
    before = dict(vars(posterior))
    with pytest.raises(error, match=message):
        posterior.fit(log_density, 2)
    assert vars(posterior) == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"n_components": True}, "n_components must be a number"),
        ({"n_draws": 0}, "n_draws"),
        ({"base": "cauchy"}, "base"),
        ({"bounds": [(0, 1)]}, "bounds must"),
        ({"flow": ["nsf"], "n_components": 2}, "flow as a list"),
        ({"n_layers": 1, "n_shared_layers": 2}, "n_shared_layers"),
        ({"device": "nowhere"}, "device"),
    ],
)
def test_wrong_parameters_are_told(parameters, message):
    with pytest.raises(ValueError, match=message):
        FlowMixturePosterior(**parameters).fit(gaussian, 2)


@pytest.mark.parametrize("n_features", [0, 2.5, True, "2"])
def test_wrong_numbers_of_features_are_told(n_features):
    with pytest.raises(ValueError, match="n_features"):
        FlowMixturePosterior().fit(gaussian, n_features)


def test_wrong_questions_are_told(fitted):
    with pytest.raises(ValueError, match="method must be one of"):
        fitted.sample(3, method="gibbs")
    with pytest.raises(ValueError, match="n_samples"):
        fitted.sample(0)
    with pytest.raises(ValueError, match="3 features"):
        fitted.score_samples(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="NaN"):
        fitted.score_samples([[0, np.nan]])
    with pytest.raises(AttributeError, match="mcmc"):
        _ = fitted.r_hat_
    with pytest.raises(NotFittedError):
        FlowMixturePosterior().sample()


def test_copies_by_pickle_need_the_function(fitted):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.sample(5, 0), fitted.sample(5, 0))
    theta = fitted.sample(5, 0)
    np.testing.assert_array_equal(again.score_samples(theta), fitted.score_samples(theta))
    for ask in (lambda: again.sample(5, method="resample"), lambda: again.importance_weights(theta)):
        with pytest.raises(ValueError, match="hand it over as log_density"):
            ask()
    found = again.sample(5, 0, method="resample", log_density=gaussian)
    np.testing.assert_array_equal(found, fitted.sample(5, 0, method="resample"))


def test_a_function_that_cannot_be_pickled_is_no_obstacle(device):
    posterior = fit(lambda theta: -theta.square().sum(1), device, **SMALL)
    assert pickle.loads(pickle.dumps(posterior)).log_evidence_ == posterior.log_evidence_


@doubtful
def test_seeds_repeat_to_the_bit(device):
    def everything(seed, draws):
        posterior = fit(banana, device, **SMALL | {"random_state": seed})
        samples = [posterior.sample(30, draws, method) for method in ("flow", "resample")]
        return [posterior.elbo_, posterior.pareto_k_, posterior.history_.validation_score, *samples]

    for one, other in zip(everything(3, 1), everything(3, 1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert everything(4, 1)[0] != everything(3, 1)[0]


def test_chains_repeat_to_the_bit(fitted):
    posterior = copy.copy(fitted)
    np.testing.assert_array_equal(*(posterior.sample(10, 5, "mcmc") for _ in range(2)))


@doubtful
@pytest.mark.parametrize(
    "state",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: np.errstate(all="raise"),
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    ],
)
def test_the_callers_state_decides_nothing_and_is_left_as_found(state, device):
    def everything():
        posterior = fit(banana, device, **SMALL)
        theta = posterior.sample(10, 0, "resample")
        return [posterior.elbo_, theta, posterior.score_samples(theta), posterior.importance_weights(theta)]

    expected = everything()
    with state():
        before = torch.is_grad_enabled(), np.geterr(), torch.get_rng_state().tolist()
        found = everything()
        after = torch.is_grad_enabled(), np.geterr(), torch.get_rng_state().tolist()
    assert before == after
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_default_dtype_decides_no_more_than_digits(device):
    expected = fit(gaussian, device, **FAST).log_evidence_
    torch.set_default_dtype(torch.float64)
    try:
        found = fit(gaussian, device, **FAST).log_evidence_
    finally:
        torch.set_default_dtype(torch.float32)
    assert found == pytest.approx(expected, abs=1e-3)


@doubtful
@pytest.mark.parametrize("at", [1, 3])
def test_an_interruption_keeps_the_best_state_and_goes_on(at, device, monkeypatch):
    begun, iterate = [], Run.iterate

    def interrupted(run):
        begun.append(run)
        if len(begun) == at:
            raise KeyboardInterrupt
        return iterate(run)

    monkeypatch.setattr(Run, "iterate", interrupted)
    posterior = FlowMixturePosterior(device=device, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        posterior.fit(banana, 2)
    assert posterior.history_.interrupted
    assert posterior.n_iter_ == at - 1
    assert np.isfinite(posterior.sample(10)).all()
    with pytest.raises(AttributeError, match="Ctrl-C"):
        _ = posterior.log_evidence_


def test_an_interruption_of_the_last_draws_keeps_the_fit(device, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(Approximation, "weighted_draws", interrupt)
    posterior = FlowMixturePosterior(device=device, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        posterior.fit(banana, 2)
    assert posterior.history_.interrupted
    assert np.isfinite(posterior.score_samples(posterior.sample(10))).all()


def test_an_interruption_of_the_start_leaves_the_estimator_as_it_was(fitted):
    def interrupt(theta):
        raise KeyboardInterrupt

    posterior = copy.copy(fitted)
    before = dict(vars(posterior))
    with pytest.raises(KeyboardInterrupt):
        posterior.fit(interrupt, 2)
    assert vars(posterior) == before


def test_clones_reports_and_pictures(device, capsys):
    posterior = FlowMixturePosterior(device=device, verbose=2, **SMALL)
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        posterior.fit(gaussian, 2)
    assert "Training: iteration 3 of at most 3" in capsys.readouterr().out
    assert not hasattr(clone(posterior), "_state")
    assert clone(posterior).get_params() == posterior.get_params()
    assert posterior.set_params(n_layers=5).n_layers == 5
    assert "FlowMixturePosterior" in estimator_html_repr(posterior)
