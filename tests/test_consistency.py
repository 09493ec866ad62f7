"""Agreement of the assignments of rows and of their perturbed copies."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning import learn
from sklearn.datasets import make_moons

from skflowmix import FlowMixtureClassifier, FlowMixtureDensity
from skflowmix.modules.posterior import PosteriorNetwork
from skflowmix.training import AssignedObjective, LikelihoodObjective, RowObjective, Rows, consistency_loss

pytestmark = pytest.mark.filterwarnings("ignore:The fit still improved:sklearn.exceptions.ConvergenceWarning")

WEIGHT = 3.0


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def rows_of(n_rows, seed=0):
    x = torch.randn((n_rows, 2), generator=seeded(seed), dtype=torch.float64)
    return Rows(x, torch.rand(n_rows, generator=seeded(seed + 1), dtype=torch.float64) + 0.5)


def with_view(rows, seed=7):
    return replace(rows, view=rows.x + 0.3 * torch.randn(rows.x.shape, generator=seeded(seed), dtype=torch.float64))


def two_log_resps(n_rows=6, seed=0):
    return torch.randn((2, 2, n_rows, 3), generator=seeded(seed), dtype=torch.float64).log_softmax(-1)


@pytest.fixture(params=["exact", "amortized"])
def mixture(request, make_mixture):
    mixture = make_mixture("affine", 3, seed=1)
    if request.param == "amortized":
        mixture.posterior = PosteriorNetwork(2, 3, hidden_layer_sizes=(8,), generator=seeded()).double()
        for parameter in mixture.posterior.parameters():
            parameter.data.normal_(generator=seeded())
    return mixture


class TestLoss:
    def test_is_the_weighted_squared_distance_of_the_probabilities(self):
        one, other = two_log_resps()
        rows = rows_of(6)
        distance = ((one.exp() - other.exp()) ** 2).sum(-1)
        torch.testing.assert_close(consistency_loss(one, other, rows), rows.weight * distance, rtol=1e-12, atol=0)
        assert (distance > 0).all()

    def test_identical_views_agree(self):
        one, _ = two_log_resps()
        assert not consistency_loss(one, one, rows_of(6)).any()

    def test_gradient_pulls_views_together(self):
        one, other = two_log_resps().requires_grad_().unbind()
        before = consistency_loss(one.log_softmax(-1), other.log_softmax(-1), rows_of(6)).sum()
        steps = torch.autograd.grad(before, [one, other])
        assert all(step.any() for step in steps)
        one, other = ((logits - 0.05 * step).log_softmax(-1) for logits, step in zip((one, other), steps, strict=True))
        assert consistency_loss(one, other, rows_of(6)).sum() < before

    def test_objective_adds_the_term_where_there_is_a_view(self, mixture):
        rows = with_view(rows_of(20))
        alone = replace(rows, view=None)
        plain, loss = (
            LikelihoodObjective()(mixture, alone),
            LikelihoodObjective(consistency_weight=WEIGHT)(mixture, rows),
        )
        views = mixture.restart_log_resp(rows.x), mixture.restart_log_resp(rows.view)
        expected = plain + WEIGHT * consistency_loss(*views, rows)
        torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(
            LikelihoodObjective(consistency_weight=WEIGHT)(mixture, alone), plain, rtol=0, atol=0
        )

    def test_term_comes_in_gradually(self, make_mixture):
        mixture, rows = make_mixture(), with_view(rows_of(20))
        plain = LikelihoodObjective()(mixture, replace(rows, view=None))
        objective = LikelihoodObjective(consistency_weight=WEIGHT)
        terms = [(objective(mixture, rows, progress) - plain).mean().item() for progress in (0.0, 0.5, 1.0)]
        assert terms[0] < terms[1] < terms[2]
        assert terms[0] < 0.01 * terms[2]


class TestTraining:
    @pytest.mark.parametrize(
        "objective",
        [LikelihoodObjective(), AssignedObjective(), LikelihoodObjective(consistency_weight=WEIGHT)],
        ids=["0", "assigned", "3"],
    )
    def test_steps_have_an_independent_view_where_the_objective_needs_one(self, make_mixture, objective):
        rows, seen = rows_of(64), []
        rows = replace(rows, resp=torch.full((64, 1, 2), 0.5, dtype=torch.float64))
        mixture = make_mixture("affine", 2)

        class Spy(RowObjective):
            def demands(self, model):
                return objective.demands(model)

            def __call__(self, model, rows, progress=1.0):
                if torch.is_grad_enabled():
                    seen.append(rows)
                return objective(model, rows, progress)

        learn(mixture, rows, {"max_iter": 1, "noise": 0.1}, objective=Spy(), generator=seeded())
        assert len(seen) == 10
        if not objective.demands(mixture).view:
            assert all(batch.view is None for batch in seen)
            return
        noise = torch.cat([(batch.x - batch.view) for batch in seen])
        assert noise.std().item() == pytest.approx(0.1 * np.sqrt(2), rel=0.1)

    def test_views_are_scored_by_no_evaluation(self, make_mixture):
        rows, mixture = rows_of(64), make_mixture("affine", 2)
        options = {"max_iter": 1, "noise": 0.5, "learning_rate": 1e-12}
        (score,), _, _ = learn(
            mixture,
            rows,
            options,
            objective=LikelihoodObjective(consistency_weight=1e3),
            validation=rows,
            generator=seeded(),
        )
        expected = (rows.weight * mixture.log_prob(rows.x)).sum() / rows.weight.sum()
        assert score == pytest.approx(expected.item(), rel=1e-9)

    def test_trained_assignments_agree(self, mixture):
        rows = rows_of(64)
        options = {"max_iter": 10, "noise": 0.3, "learning_rate": 3e-2, "ramp_iter": 2}
        views = with_view(rows)
        disagreement = []
        for weight in (0.0, 30.0):
            trained = mixture.restart(0)
            learn(trained, rows, options, objective=LikelihoodObjective(consistency_weight=weight), generator=seeded())
            one, other = (trained.restart_log_resp(x).detach() for x in (views.x, views.view))
            disagreement.append(consistency_loss(one, other, rows).mean().item())
        assert disagreement[1] < 0.5 * disagreement[0]

    def test_states_of_an_unfinished_ramp_are_no_rivals(self, make_mixture):
        rows, mixture = rows_of(64), make_mixture("affine", 2)

        class WorseAndWorse(RowObjective):
            def __call__(self, model, rows, progress=1.0):
                return -model.restart_log_joint(rows.x).logsumexp(-1) + 100 * progress

        options = {"max_iter": 6, "ramp_iter": 4, "n_iter_no_change": 1, "n_step_sizes": 1, "learning_rate": 1e-12}
        (score,), converged, history = learn(mixture, rows, options, objective=WorseAndWorse(), generator=seeded())
        assert len(history.training_score) == 5
        assert converged
        assert score < -90


class TestEstimators:
    @pytest.mark.parametrize("posterior", ["exact", "amortized"])
    @pytest.mark.parametrize("labels", ["none", "some", "all"])
    def test_fit_runs_with_it(self, posterior, labels, device):
        X, y = make_moons(80, noise=0.1, random_state=0)
        y = {"none": np.full(80, -1), "some": np.where(np.arange(80) < 10, y, -1), "all": y}[labels]
        cheap = {"flow": "affine", "hidden_layer_sizes": (8,), "max_iter": 20, "device": device, "random_state": 0}
        fits = [
            FlowMixtureDensity(2, posterior=posterior, consistency_weight=weight, **cheap).fit(X, y)
            for weight in (0, 10.0)
        ]
        assert all(np.isfinite(fit.score_samples(X)).all() for fit in fits)
        assert not np.array_equal(fits[0].score_samples(X), fits[1].score_samples(X))

    def test_classifier_with_few_labels_agrees_with_itself_more(self, device):
        X, y = make_moons(120, noise=0.25, random_state=0)
        partly = np.where(np.arange(120) < 12, y, -1)
        moved = X + 0.2 * np.random.RandomState(0).standard_normal(X.shape)
        change = []
        for weight in (0, 30.0):
            model = FlowMixtureClassifier(
                1,
                n_layers=2,
                hidden_layer_sizes=(8,),
                max_iter=16,
                early_stopping=False,
                consistency_weight=weight,
                device=device,
                random_state=0,
            ).fit(X, partly)
            change.append(np.square(model.predict_proba(X) - model.predict_proba(moved)).sum(1).mean())
        assert change[1] < change[0]
