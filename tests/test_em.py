"""Expectation-maximisation: what it maximises never falls, and its parts are those of the textbook."""

from dataclasses import replace

import numpy as np
import pytest
import sklearn
import torch
from learning import learn
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture
from torch.nn.functional import one_hot

from skflowmix import FlowMixtureClassifier, FlowMixtureDensity
from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import make_flow, make_shared_layers
from skflowmix.modules.mixture import FlowMixture
from skflowmix.training import SOLVERS, AssignedObjective, LikelihoodObjective, Rows, evaluate
from skflowmix.training.em import e_step, most_probable, posterior

ASSIGN = {"em": posterior, "hard-em": most_probable}
ROUNDING = 1e-9
CHEAP = {"n_components": 2, "flow": "realnvp", "n_layers": 2, "hidden_layer_sizes": (8,), "max_iter": 8}

each_solver = pytest.mark.parametrize("solver", ASSIGN)
pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_rows(n_rows=120, seed=0, *, n_components=None):
    """Weighted rows, of which every other one, if labels are wanted, has one that allows one component."""
    generator = seeded(seed)
    x = torch.randn((n_rows, 2), generator=generator, dtype=torch.float64)
    x[:, 1] = 0.3 * x[:, 1] + x[:, 0].abs()
    weight = torch.rand(n_rows, generator=generator, dtype=torch.float64) + 0.1
    allowed = None
    if n_components is not None:
        label = torch.randint(n_components, (n_rows, 1), generator=generator)
        allowed = (label == torch.arange(n_components)) | (torch.arange(n_rows)[:, None] % 2 == 0)
    return Rows(x, weight / weight.mean(), allowed)


def solve(solver, mixture, rows, *, objective=None, generator=None, **options):
    options = {"max_iter": 12, "batch_size": 60, "noise": 0.1} | options
    objective = LikelihoodObjective() if objective is None else objective
    return learn(
        mixture, rows, options, solve=SOLVERS[solver].solve, objective=objective, generator=generator or seeded()
    )


def start(rows, n_components=2, *, flow="realnvp", seed=0, n_shared_layers=0, resp=None):
    """A mixture whose components are the Gaussians of random shares of the rows, or of given ones."""
    generator = seeded(seed)
    sizes = {"n_layers": 2, "n_shared_layers": n_shared_layers, "hidden_layer_sizes": (8,), "generator": generator}
    shared = make_shared_layers(flow, 2, **sizes) if n_shared_layers else None
    mixture = FlowMixture(
        make_flow(flow, n_components, 2, **sizes), Normal(n_components, 2), n_components, shared=shared
    )
    if resp is None:
        resp = torch.rand((len(rows), n_components), generator=generator, dtype=torch.float64) ** 4
    mixture.double().initialize(rows.x, resp)
    return mixture


def bound_of(solver, mixture, rows):
    return e_step(mixture, rows, assign=ASSIGN[solver])[0].tolist()


def assert_never_falls(bounds, tolerance=ROUNDING):
    assert (np.diff(bounds, axis=0) >= -tolerance).all()


class TestEStep:
    def test_soft_assignment_is_the_posterior_among_allowed_components(self, make_mixture):
        mixture, rows = make_mixture(n_restarts=2), random_rows(n_components=3)
        _, assigned = e_step(mixture, rows)
        density = mixture.restart_log_joint(rows.x).exp().transpose(0, 1) * rows.allowed[:, None]
        torch.testing.assert_close(assigned.resp, density / density.sum(-1, keepdim=True))

    def test_hard_assignment_is_one_hot_at_the_best_allowed_component(self, make_mixture):
        mixture, rows = make_mixture(n_restarts=2), random_rows(n_components=3)
        bound, assigned = e_step(mixture, rows, assign=most_probable)
        assert set(assigned.resp.unique().tolist()) == {0.0, 1.0}
        assert (assigned.resp.sum(-1) == 1).all()
        assert (assigned.resp.bool() <= rows.allowed[:, None]).all()
        log_joint = mixture.restart_log_joint(rows.x).masked_fill(~rows.allowed, -torch.inf)
        torch.testing.assert_close(bound, (rows.weight * log_joint.amax(-1)).mean(1))
        torch.testing.assert_close(bound, evaluate(mixture, assigned, AssignedObjective()))

    @pytest.mark.parametrize("n_components", [None, 3])
    def test_bound_is_the_joint_likelihood(self, n_components, make_mixture):
        mixture, rows = make_mixture(n_restarts=2), random_rows(n_components=n_components)
        bound, _ = e_step(mixture, rows, unlabelled_weight=0.3)
        expected = evaluate(mixture, rows, LikelihoodObjective(supervised_weight=0.0, unlabelled_weight=0.3))
        torch.testing.assert_close(bound, expected)


class TestBound:
    @each_solver
    @pytest.mark.parametrize("labelled", [False, True])
    @pytest.mark.parametrize("seed", range(3))
    def test_bound_never_falls(self, solver, labelled, seed):
        rows = random_rows(seed=seed, n_components=3 if labelled else None)
        mixture = FlowMixture.stack([start(rows, 3, seed=seed), start(rows, 3, seed=seed + 10)])
        before = bound_of(solver, mixture, rows)
        scores, _, history = solve(solver, mixture, rows, learning_rate=0.05)
        assert_never_falls([before, *history.training_score])
        assert (np.array(scores) > np.array(before) + 0.1).all()

    @each_solver
    def test_bound_with_fewer_unlabelled_rows_never_falls(self, solver):
        rows = random_rows(n_components=3)
        mixture = start(rows, 3)
        objective = LikelihoodObjective(supervised_weight=1.0, unlabelled_weight=0.3)
        _, _, history = solve(solver, mixture, rows, learning_rate=0.05, objective=objective)
        assert_never_falls(history.training_score)

    @each_solver
    @pytest.mark.parametrize(("flow", "n_shared_layers"), [("realnvp", 1), (["realnvp", "affine", "realnvp"], 0)])
    def test_bound_never_falls_where_parameters_are_not_one_per_component(self, solver, flow, n_shared_layers):
        rows = random_rows()
        mixture = start(rows, 3, flow=flow, n_shared_layers=n_shared_layers)
        before = bound_of(solver, mixture, rows)
        (score,), _, history = solve(solver, mixture, rows, learning_rate=0.05)
        assert_never_falls([before, *history.training_score])
        assert score > before[0] + 0.1
        assert len(history.m_steps.training_score[0]) == 1

    @each_solver
    def test_bound_is_that_of_the_final_state(self, solver):
        rows = random_rows()
        mixture = start(rows)
        (score,), _, history = solve(solver, mixture, rows)
        assert bound_of(solver, mixture, rows) == pytest.approx([score], rel=1e-12)
        assert history.training_score[-1] == pytest.approx([score], rel=1e-12)

    @each_solver
    def test_held_out_rows_decide_on_the_best_state_but_bound_never_falls(self, solver):
        rows, validation = random_rows(60), random_rows(30, seed=1)
        mixture = start(rows)
        solve(solver, mixture, rows, learning_rate=0.05)
        options = {"max_iter": 9, "batch_size": 60, "learning_rate": 0.05, "noise": 1.0}
        spread = replace(validation, x=2 * validation.x)
        (score,), _, history = learn(
            mixture,
            rows,
            options,
            solve=SOLVERS[solver].solve,
            objective=LikelihoodObjective(),
            validation=spread,
            generator=seeded(),
        )
        assert bound_of(solver, mixture, spread) == pytest.approx([score], rel=1e-12)
        assert score >= np.max(history.validation_score) - ROUNDING
        assert_never_falls(history.training_score)

    @each_solver
    def test_rows_without_weight_leave_the_mixture_alone(self, solver, make_mixture):
        mixture, rows = make_mixture(), random_rows()
        before = {name: tensor.clone() for name, tensor in mixture.state_dict().items()}
        (score,), _, history = solve(solver, mixture, rows, objective=LikelihoodObjective(unlabelled_weight=0.0))
        assert score == 0
        assert np.isfinite(history.training_score).all()
        for name, tensor in mixture.state_dict().items():
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


class TestWeights:
    def test_weights_are_the_mean_responsibilities(self, make_mixture):
        mixture, rows = make_mixture(), random_rows()
        weights, log_prob = mixture.log_weights().exp(), mixture.component_log_prob(rows.x).detach()
        for _ in range(4):
            resp = (weights[:, None] * log_prob.exp()).squeeze(0)
            resp = resp / resp.sum(1, keepdim=True)
            weights = (rows.weight[:, None] * resp).mean(0, keepdim=True)
        solve("em", mixture, rows, learning_rate=1e-30)
        torch.testing.assert_close(mixture.log_weights().exp(), weights)

    @each_solver
    @pytest.mark.parametrize("learned", [True, False])
    def test_weights_move_only_if_they_are_learned(self, solver, learned, make_mixture):
        mixture, rows = make_mixture(), random_rows()
        before = mixture.log_weights().detach()
        mixture.logits.requires_grad_(learned)
        _, _, history = solve(solver, mixture, rows)
        assert mixture.logits.requires_grad == learned
        assert torch.equal(before, mixture.log_weights().detach()) != learned
        assert_never_falls(history.training_score)

    @each_solver
    def test_component_without_rows_stays_where_it_is(self, solver):
        rows = random_rows()
        resp = torch.zeros((len(rows), 3), dtype=torch.float64)
        resp[torch.arange(len(rows)), (rows.x[:, 0] > 0).long()] = 1
        mixture = start(rows, 3, resp=resp + 1e-3)
        mixture.logits.data[:, 2] = -1e4
        before = [p[2].clone() for p in mixture.flow.parameters()]
        rows = replace(rows, resp=resp[:, None])
        (score,), _, _ = solve(solver, mixture, rows)
        assert np.isfinite(score)
        assert all(p.isfinite().all() for p in mixture.parameters())
        assert mixture.log_weights()[0, 2] < -20
        for parameter, old in zip(mixture.flow.parameters(), before, strict=True):
            torch.testing.assert_close(parameter[2], old, rtol=0, atol=1e-3)


@each_solver
def test_restarts_in_one_stack_end_where_each_ends_alone(solver):
    rows = random_rows()
    starts = [start(rows, seed=seed) for seed in range(2)]
    solve(solver, starts[0], rows, learning_rate=0.05)
    stack = FlowMixture.stack(starts)
    options = {"max_iter": 40, "n_iter_no_change": 1, "tol": 0.02, "learning_rate": 0.05}
    scores, converged, history = solve(solver, stack, rows, **options)
    alone = [solve(solver, mixture, rows, **options) for mixture in starts]
    assert len({len(one.training_score) for _, _, one in alone}) > 1, "the restarts should not all end alike"
    assert len(history.training_score) == max(len(one.training_score) for _, _, one in alone)
    assert converged
    assert all(one_converged for _, one_converged, _ in alone)
    np.testing.assert_allclose(scores, [score for (score,), _, _ in alone], rtol=1e-8)
    np.testing.assert_allclose(history.training_score[-1], scores, rtol=1e-12)
    for index, mixture in enumerate(starts):
        for name, tensor in stack.restart(index).state_dict().items():
            torch.testing.assert_close(tensor, mixture.state_dict()[name], rtol=1e-6, atol=1e-8)


def test_affine_flows_reach_the_likelihood_of_a_gaussian_mixture():
    x = random_rows(300).x
    rows, X = Rows(x, torch.ones_like(x[:, 0])), x.numpy()
    resp = one_hot((2 * x[:, 0]).round().long() % 3, 3).double()
    mixture = start(rows, 3, flow="affine", resp=resp)
    shares = [X[resp[:, k] == 1] for k in range(3)]
    gaussians = GaussianMixture(
        3,
        weights_init=resp.mean(0),
        means_init=[share.mean(0) for share in shares],
        precisions_init=[np.linalg.inv(np.cov(share.T, bias=True)) for share in shares],
        tol=1e-7,
        max_iter=500,
    ).fit(X)
    (score,), _, _ = solve("em", mixture, rows, max_iter=90, batch_size=300, noise=0.0, learning_rate=0.02, tol=1e-7)
    assert score == pytest.approx(gaussians.score(X), abs=2e-3)


@each_solver
class TestEstimators:
    def make(self, solver, device, estimator_class=FlowMixtureDensity, **params):
        return estimator_class(**{**CHEAP, "solver": solver, "device": device, "random_state": 0, **params})

    @pytest.mark.parametrize("early_stopping", [True, False])
    def test_lower_bounds_do_not_fall(self, solver, early_stopping, device):
        X, y = make_moons(150, noise=0.1, random_state=0)
        y = np.where(np.arange(150) % 3, -1, y)
        weight = np.random.RandomState(0).uniform(0.1, 2, size=150)
        estimator = self.make(solver, device, early_stopping=early_stopping, learning_rate_init=0.03, max_iter=30)
        estimator.fit(X, y, sample_weight=weight)
        assert len(estimator.lower_bounds_) > 3
        assert_never_falls(estimator.lower_bounds_, tolerance=1e-5)
        if not early_stopping:
            assert estimator.lower_bound_ == estimator.lower_bounds_[-1]

    def test_bound_without_labels_is_the_score_of_the_training_rows(self, solver, device):
        X, _ = make_moons(100, noise=0.1, random_state=0)
        estimator = self.make(solver, device, early_stopping=False).fit(X)
        log_joint = estimator.component_log_prob(X) + np.log(estimator.weights_)
        expected = estimator.score(X) if solver == "em" else log_joint.max(1).mean()
        assert estimator.lower_bound_ == pytest.approx(expected, rel=1e-4)

    @pytest.mark.parametrize("max_iter", [1, 9])
    def test_max_iter_bounds_the_iterations(self, solver, max_iter, device, capsys):
        X, _ = make_moons(80, noise=0.1, random_state=0)
        estimator = self.make(solver, device, max_iter=max_iter, verbose=2).fit(X)
        n_warm_up = len(estimator.history_.warm_up.training_score)
        assert estimator.n_iter_ == max_iter
        assert not estimator.converged_
        assert n_warm_up == max_iter // 2
        assert len(estimator.lower_bounds_) == -(-(max_iter - n_warm_up) // 3)
        told = [line for line in capsys.readouterr().out.splitlines() if ": iteration " in line]
        assert len(told) == n_warm_up + len(estimator.lower_bounds_)

    def test_fit_ends_when_it_no_longer_improves(self, solver, device):
        X, _ = make_moons(80, noise=0.1, random_state=0)
        estimator = self.make(solver, device, flow="affine", tol=1.0, n_iter_no_change=2, max_iter=100).fit(X)
        assert estimator.converged_
        assert estimator.n_iter_ < 20

    def test_best_restart_is_kept(self, solver, device):
        X, _ = make_moons(80, noise=0.1, random_state=0)
        estimator = self.make(solver, device, n_init=3, init_params="random").fit(X)
        shift = np.log(X.std(0)).sum()
        assert estimator.lower_bound_ >= np.max(estimator.history_.validation_score) - shift - 1e-9
        assert estimator.mixture_.n_restarts == 1

    def test_same_seed_gives_the_same_fit_bit_for_bit(self, solver, device):
        X, _ = make_moons(80, noise=0.1, random_state=0)
        one, other = (self.make(solver, device).fit(X).score_samples(X) for _ in range(2))
        np.testing.assert_array_equal(one, other)

    def test_warm_start_begins_with_an_e_step(self, solver, device):
        X, _ = make_moons(80, noise=0.1, random_state=0)
        estimator = self.make(solver, device, warm_start=True, early_stopping=False).fit(X)
        before = estimator.lower_bound_
        estimator.fit(X)
        assert estimator.history_.warm_up is None
        assert estimator.lower_bounds_[0] >= before - 1e-5

    def test_discriminative_term_does_not_count(self, solver, device):
        X, y = make_moons(80, noise=0.1, random_state=0)
        one, other = (
            self.make(solver, device, FlowMixtureClassifier, supervised_weight=weight).fit(X, y).score_samples(X)
            for weight in (0.0, 1.0)
        )
        np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("n_calls", [2, 30, 90])
    def test_interrupted_fit_keeps_the_best_state(self, solver, n_calls, device, monkeypatch):
        calls = []
        log_joint = FlowMixture.restart_log_joint

        def interrupting(mixture, *args):
            calls.append(1)
            if len(calls) == n_calls:
                raise KeyboardInterrupt
            return log_joint(mixture, *args)

        monkeypatch.setattr(FlowMixture, "restart_log_joint", interrupting)
        X, _ = make_moons(80, noise=0.1, random_state=0)
        estimator = self.make(solver, device, max_iter=30)
        with pytest.raises(KeyboardInterrupt):
            estimator.fit(X)
        assert estimator.history_.interrupted
        assert estimator.n_iter_ < 30
        assert not estimator.converged_
        assert np.isfinite(estimator.score_samples(X)).all()
        shift = np.log(X.std(0)).sum()
        scores = np.ravel(estimator.history_.validation_score)
        assert estimator.lower_bound_ >= np.max(scores, initial=-np.inf) - shift - 1e-9

    @pytest.mark.parametrize(("name", "value"), [("posterior", "amortized"), ("consistency_weight", 1.0)])
    def test_error_names_both_parameters_that_do_not_agree(self, solver, name, value, device):
        X, _ = make_moons(20, random_state=0)
        with (
            sklearn.config_context(skip_parameter_validation=True),
            pytest.raises(ValueError, match=f"solver='{solver}'.*{name}={value!r}"),
        ):
            self.make(solver, device, **{name: value}).fit(X)
