"""The training loop, its promise of a finite best state above all."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from learning import learn

from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import make_flow
from skflowmix.modules.mixture import FlowMixture
from skflowmix.modules.transforms import BatchNorm, Compose, Coupling, SplineMap
from skflowmix.training import (
    SOLVERS,
    AssignedObjective,
    LikelihoodObjective,
    Printer,
    Report,
    RowObjective,
    Rows,
    batches,
    evaluate,
)
from skflowmix.training.parameter_table import ParameterTable
from skflowmix.training.step import Step

N_ROWS, BATCH = 128, 64
STEPS_PER_ITERATION = 10
NEVER = 10**6


def seeded(seed=0, device="cpu"):
    return torch.Generator(device).manual_seed(seed)


def banana(n_rows=N_ROWS, n_features=2, seed=0):
    x = torch.randn((n_rows, n_features), generator=seeded(seed), dtype=torch.float64)
    x[:, -1] = 0.3 * x[:, -1] + x[:, 0] ** 2
    return Rows(x, torch.ones(n_rows, dtype=torch.float64))


def gaussian_start(rows, n_components=2, *, preset="nsf", seed=0, base=Normal):
    generator = seeded(seed)
    n_features = rows.x.shape[1]
    flow = make_flow(preset, n_components, n_features, n_layers=2, hidden_layer_sizes=(8,), generator=generator)
    mixture = FlowMixture(flow, base(n_components, n_features), n_components).double()
    mixture.initialize(rows.x, torch.rand((len(rows), n_components), generator=generator, dtype=torch.float64))
    return mixture


def batch_normalised_start(rows, n_components=2, *, seed=0):
    generator, n_features = seeded(seed), rows.x.shape[1]
    keeps_first = [n_features > 1 and i == 0 for i in range(n_features)]
    flow = Compose(
        [
            BatchNorm(n_components, n_features),
            Coupling(n_components, keeps_first, SplineMap(), (8,), generator=generator),
            BatchNorm(n_components, n_features),
        ]
    )
    mixture = FlowMixture(flow, Normal(n_components, n_features), n_components).double()
    mixture.initialize(rows.x, torch.rand((len(rows), n_components), generator=generator, dtype=torch.float64))
    return mixture


def options(**changes):
    return {"max_iter": 5, "batch_size": BATCH, "n_iter_no_change": NEVER} | changes


def state(mixture):
    return copy.deepcopy(mixture.state_dict())


def assert_same_state(mixture, expected, **tolerance):
    for name, tensor in mixture.state_dict().items():
        torch.testing.assert_close(tensor, expected[name], **{"rtol": 0, "atol": 0} | tolerance)


POISONS = {
    "NaN loss": lambda log_prob, mask: log_prob.masked_fill(mask, torch.nan),
    "infinite loss": lambda log_prob, mask: log_prob.masked_fill(mask, torch.inf),
    "zero density": lambda log_prob, mask: log_prob.masked_fill(mask, -torch.inf),
    "NaN gradient": lambda log_prob, mask: _with_gradient(log_prob, mask, torch.nan),
    "infinite gradient": lambda log_prob, mask: _with_gradient(log_prob, mask, torch.inf),
}


def _with_gradient(log_prob, mask, value):
    log_prob.register_hook(lambda gradient: gradient.masked_fill(mask, value))
    return log_prob


class PoisonedNormal(Normal):
    """A base that spoils some steps, or raises an exception in them, for some of its components."""

    def __init__(self, n_components, n_features, *, steps, poison, components=slice(None)):
        super().__init__(n_components, n_features)
        self.steps, self.poison, self.components, self.n_steps = steps, poison, components, 0

    def log_prob(self, z):
        log_prob = super().log_prob(z)
        if not torch.is_grad_enabled():
            return log_prob
        self.n_steps += 1
        if self.n_steps not in self.steps:
            return log_prob
        mask = torch.zeros_like(log_prob, dtype=torch.bool)
        mask[self.components] = True
        return self.poison(log_prob, mask)


class UnscorableNormal(Normal):
    """A base whose k-th evaluation, the start's being the first, gives NaN."""

    def __init__(self, n_components, n_features, *, evaluation):
        super().__init__(n_components, n_features)
        self.evaluation, self.n_evaluations = evaluation, 0

    def log_prob(self, z):
        log_prob = super().log_prob(z)
        self.n_evaluations += not torch.is_grad_enabled()
        spoilt = not torch.is_grad_enabled() and self.n_evaluations == self.evaluation
        return torch.full_like(log_prob, torch.nan) if spoilt else log_prob


@pytest.mark.parametrize("preset", ["realnvp", "nsf"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_training_raises_the_score_of_new_rows(preset, dtype, device):
    rows, new = (Rows(r.x.to(device, dtype), r.weight.to(device, dtype)) for r in (banana(400), banana(400, seed=1)))
    mixture = gaussian_start(banana(400), preset=preset).to(device, dtype)
    before = evaluate(mixture, new).item()
    learn(mixture, rows, options(max_iter=8, learning_rate=3e-2), generator=seeded(device=device))
    assert evaluate(mixture, new).item() > before + 0.3
    assert {parameter.dtype for parameter in mixture.parameters()} == {dtype}


def test_one_feature_can_be_learned():
    x = torch.randn((300, 1), generator=seeded(), dtype=torch.float64).exp()
    rows = Rows(x, torch.ones(300, dtype=torch.float64))
    mixture = gaussian_start(rows, 1)
    before = evaluate(mixture, rows).item()
    learn(mixture, rows, options(max_iter=8, learning_rate=3e-2), generator=seeded())
    assert evaluate(mixture, rows).item() > before + 0.2


class Everything(RowObjective):
    """The likelihood of all components; batches of relevant ones differ in shape, and shapes in rounding."""

    def __call__(self, model, rows, progress=1.0):
        return LikelihoodObjective()(model, rows, progress)


@pytest.mark.parametrize(
    ("preset", "objective", "learning_rate"),
    [("realnvp", Everything(), 0.1), ("nsf", Everything(), 0.1), ("realnvp", LikelihoodObjective(), 0.02)],
)
@pytest.mark.parametrize("with_validation", [False, True])
def test_restarts_in_one_stack_end_where_each_ends_alone(preset, objective, learning_rate, with_validation):
    rows = banana()
    validation = banana(60, seed=1) if with_validation else None
    starts = [gaussian_start(rows, preset=preset, seed=seed) for seed in range(3)]
    chosen = options(max_iter=12, n_iter_no_change=1, learning_rate=learning_rate, noise=0.01)
    stack, how = FlowMixture.stack(starts), {"objective": objective, "validation": validation}
    scores, converged, history = learn(stack, rows, chosen, generator=seeded(), **how)
    alone = [learn(start, rows, chosen, generator=seeded(), **how) for start in starts]
    np.testing.assert_allclose(scores, [score for (score,), _, _ in alone], rtol=1e-8)
    assert converged == all(one_converged for _, one_converged, _ in alone)
    assert len(history.training_score) == max(len(one.training_score) for _, _, one in alone)
    assert len({str(one.learning_rate) for _, _, one in alone}) > 1, "the restarts should not all be slowed down alike"
    for index, start in enumerate(starts):
        assert_same_state(stack.restart(index), start.state_dict(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("poison", POISONS)
def test_step_that_is_not_finite_is_rolled_back(poison):
    rows = banana()
    bad = {STEPS_PER_ITERATION + 3, 3 * STEPS_PER_ITERATION}
    mixture = gaussian_start(rows, base=lambda c, d: PoisonedNormal(c, d, steps=bad, poison=POISONS[poison]))
    start = evaluate(mixture, rows).item()
    (score,), converged, history = learn(
        mixture, rows, options(learning_rate=0.01), validation=rows, generator=seeded()
    )
    assert history.n_rollbacks == 2
    np.testing.assert_allclose(np.ravel(history.learning_rate), [0.01, 0.01, 0.002, 0.0004, 0.0004], rtol=1e-12)
    assert not converged
    assert all(parameter.isfinite().all() for parameter in mixture.parameters())
    assert score > start
    assert score == pytest.approx(evaluate(mixture, rows).item(), rel=1e-13)


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize("with_validation", [False, True])
def test_fit_without_a_finite_step_returns_the_start(poison, with_validation):
    rows = banana()
    mixture = gaussian_start(rows, base=lambda c, d: PoisonedNormal(c, d, steps=range(NEVER), poison=POISONS[poison]))
    before, start = state(mixture), evaluate(mixture, rows).item()
    (score,), _, history = learn(
        mixture, rows, options(max_iter=50), validation=rows if with_validation else None, generator=seeded()
    )
    assert history.n_rollbacks == len(history.training_score) == 3
    assert score == pytest.approx(start, rel=1e-13)
    assert_same_state(mixture, before)


@pytest.mark.parametrize("poison", POISONS)
def test_restart_that_fails_leaves_the_others_alone(poison):
    rows = banana()
    starts = [gaussian_start(rows, seed=seed) for seed in range(2)]
    stack = FlowMixture.stack(starts)
    stack.base = PoisonedNormal(4, 2, steps={13}, poison=POISONS[poison], components=slice(0, 2))
    _, _, history = learn(stack, rows, options(), validation=rows, generator=seeded())
    learn(starts[1], rows, options(), validation=rows, generator=seeded())
    assert history.n_rollbacks == 1
    np.testing.assert_allclose(history.learning_rate[-1], [1e-3, 5e-3])
    assert_same_state(stack.restart(1), starts[1].state_dict(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("evaluation", [1, 3])
def test_validation_score_that_is_not_finite_is_never_the_best(evaluation):
    rows = banana()
    mixture = gaussian_start(rows, base=lambda c, d: UnscorableNormal(c, d, evaluation=evaluation))
    (score,), _, history = learn(mixture, rows, options(), validation=rows, generator=seeded())
    assert history.n_rollbacks == (evaluation > 1)
    assert math.isfinite(score)
    assert score == pytest.approx(evaluate(mixture, rows).item(), rel=1e-13)


@pytest.mark.parametrize("learning_rate", [5e-3, 0.3, 1e3])
def test_ends_in_the_best_validation_state(learning_rate):
    rows, validation = banana(), banana(50, seed=1)
    stack = FlowMixture.stack([gaussian_start(rows, seed=seed) for seed in range(2)])
    start = evaluate(stack, validation).tolist()
    scores, _, history = learn(
        stack, rows, options(max_iter=10, learning_rate=learning_rate), validation=validation, generator=seeded()
    )
    np.testing.assert_allclose(scores, evaluate(stack, validation), rtol=1e-12)
    np.testing.assert_allclose(scores, np.nanmax([start, *history.validation_score], axis=0), rtol=1e-12)


def test_stops_when_nothing_improves_enough():
    rows = banana()
    _, converged, history = learn(
        gaussian_start(rows), rows, options(max_iter=500, n_iter_no_change=4, tol=1e9), generator=seeded()
    )
    assert converged
    first = 1  # what the others are compared with
    assert len(history.training_score) == first + 3 * 4
    np.testing.assert_allclose(np.ravel(history.learning_rate[first::4]), [5e-3, 1e-3, 2e-4], rtol=1e-12)


def test_step_sizes_that_are_left_out_are_not_taken():
    rows = banana()
    mixture = FlowMixture.stack([gaussian_start(rows, seed=seed) for seed in range(2)])
    *_, history = learn(
        mixture, rows, options(max_iter=1, learning_rate=1e-2), n_cuts=torch.tensor([True, False]), generator=seeded()
    )
    np.testing.assert_allclose(history.learning_rate, [[2e-3, 1e-2]])


def test_step_size_of_a_warm_up_without_gain_is_not_tried_again():
    rows = replace(banana(), resp=torch.full((N_ROWS, 1, 2), 0.5, dtype=torch.float64))
    mixture = gaussian_start(rows)
    for tol, first in ((1e9, 1e-3), (-1e9, 5e-3)):
        how = {"objective": LikelihoodObjective(), "validation": rows, "generator": seeded()}
        settings = options(max_iter=4, learning_rate=5e-3, tol=tol, n_iter_no_change=1)
        *_, history = learn(copy.deepcopy(mixture), rows, settings, solve=SOLVERS["gradient"].solve, **how)
        assert history.learning_rate[0] == pytest.approx([first])


def test_warm_up_keeps_to_clusters_that_count_as_labels():
    """Cuts through one cluster, that Gaussians of its parts do not find again."""
    x = torch.randn((400, 2), generator=seeded(), dtype=torch.float64)
    second = x[:, 0].abs() > 1.5
    rows = Rows(x, torch.ones(400, dtype=torch.float64), resp=torch.stack([~second, second], 1).double()[:, None])
    kept = []
    for weight in (0.0, 10.0):
        mixture = gaussian_start(rows, preset="affine")
        mixture.initialize(x, rows.resp[:, 0])
        warm = []
        learn(
            mixture,
            rows,
            options(max_iter=40, learning_rate=2e-2),
            solve=SOLVERS["gradient"].solve,
            objective=LikelihoodObjective(start_weight=weight),
            after_warm_up=lambda mixture, warm=warm: warm.append(copy.deepcopy(mixture)),
            generator=seeded(),
        )
        kept.append((warm[0].log_resp(x).argmax(1) == second).double().mean().item())
    assert kept[0] < 0.93 < 0.97 < kept[1]


def test_stops_early_on_a_real_fit():
    rows = banana()
    _, converged, history = learn(
        gaussian_start(rows, preset="affine"),
        rows,
        options(max_iter=500, n_iter_no_change=1, tol=0.01),
        generator=seeded(),
    )
    assert converged
    assert len(history.training_score) < 500


def test_max_iter_bounds_the_iterations():
    rows = banana()
    _, converged, history = learn(gaussian_start(rows), rows, options(max_iter=3), generator=seeded())
    assert not converged
    assert len(history.training_score) == len(history.learning_rate) == 3
    assert history.validation_score == []
    assert not history.interrupted


@pytest.mark.parametrize("step", [1, 2 * STEPS_PER_ITERATION + 5])
def test_interrupt_keeps_the_best_state(step):
    def interrupt(log_prob, mask):
        raise KeyboardInterrupt

    rows = banana()
    mixture = gaussian_start(rows, base=lambda c, d: PoisonedNormal(c, d, steps={step}, poison=interrupt))
    before = state(mixture)
    (score,), converged, history = learn(mixture, rows, options(), validation=rows, generator=seeded())
    assert history.interrupted
    assert not converged
    assert len(history.validation_score) == (step - 1) // STEPS_PER_ITERATION
    assert score == pytest.approx(evaluate(mixture, rows).item(), rel=1e-13)
    if step == 1:
        assert_same_state(mixture, before)


def test_other_exceptions_are_raised():
    def fail(log_prob, mask):
        raise ZeroDivisionError

    rows = banana()
    mixture = gaussian_start(rows, base=lambda c, d: PoisonedNormal(c, d, steps={1}, poison=fail))
    with pytest.raises(ZeroDivisionError):
        learn(mixture, rows, options(), generator=seeded())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_seed_gives_the_same_bits(dtype, device):
    rows = banana()
    rows = Rows(rows.x.to(device, dtype), rows.weight.to(device, dtype))
    states = []
    for seed in (0, 0, 1):
        mixture = gaussian_start(banana()).to(device, dtype)
        learn(mixture, rows, options(noise=0.01), generator=seeded(seed, device))
        states.append(torch.cat([tensor.flatten() for tensor in mixture.state_dict().values()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_torchs_global_state_is_left_as_found(default):
    rows = banana()
    mixture = gaussian_start(rows)

    def found():
        return (
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            torch.get_rng_state().tolist(),
        )

    original = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        before = found()
        learn(mixture, rows, options(noise=0.01), validation=rows, generator=seeded())
        assert found() == before
    finally:
        torch.set_default_dtype(original)


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_few_rows_end_in_a_finite_state(n_rows):
    rows = banana(n_rows)
    mixture = gaussian_start(rows)
    learn(mixture, rows, options(max_iter=10, learning_rate=0.1), generator=seeded())
    assert all(parameter.isfinite().all() for parameter in mixture.parameters())


def test_frozen_weights_stay():
    rows = banana()
    mixture = gaussian_start(rows)
    mixture.logits.requires_grad_(False)
    before = mixture.logits.clone()
    learn(mixture, rows, options(), generator=seeded())
    assert torch.equal(mixture.logits, before)


def test_labels_teach_components_their_class():
    x = torch.randn((200, 2), generator=seeded(), dtype=torch.float64)
    label = (x[:, 0] * x[:, 1] > 0).long()
    allowed = torch.nn.functional.one_hot(label).bool()
    rows = Rows(x, torch.ones(200, dtype=torch.float64), allowed)
    mixture = gaussian_start(rows)
    learn(mixture, rows, options(max_iter=15, learning_rate=3e-2), generator=seeded())
    assert (mixture.log_resp(x).argmax(1) == label).double().mean() > 0.9


def test_evaluate_does_not_depend_on_its_chunks(monkeypatch):
    rows = Rows(banana().x, torch.rand(N_ROWS, generator=seeded(), dtype=torch.float64))
    mixture = FlowMixture.stack([gaussian_start(rows, seed=seed) for seed in range(2)])
    whole = evaluate(mixture, rows)
    expected = (rows.weight * mixture.restart_log_joint(rows.x).logsumexp(-1)).sum(1) / rows.weight.sum()
    torch.testing.assert_close(whole, expected, rtol=1e-12, atol=1e-12)
    monkeypatch.setattr(batches, "rows_at_once", lambda mixture: 7)
    torch.testing.assert_close(evaluate(mixture, rows), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("listeners", [[], [Printer(2)]])
def test_speaks_only_when_asked(capsys, listeners):
    rows = banana()
    learn(gaussian_start(rows), rows, options(max_iter=2), report=Report(listeners), generator=seeded())
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == (3 if listeners else 0)
    assert printed.err == ""


@pytest.fixture
def stack(make_mixture):
    return make_mixture("nsf", n_restarts=2)


def test_table_keeps_values_and_parameters_are_views_of_it(stack):
    before, x = state(stack), banana().x
    table = ParameterTable(stack, 2)
    assert_same_state(stack, before)
    assert sum(values.numel() for values in table.values) == sum(p.numel() for p in stack.parameters())
    expected = stack.restart(1).log_joint(x)
    for values in table.values:
        values[0] = 0.25
    for parameter in stack.parameters():
        own, other = parameter.chunk(2)
        assert (own == 0.25).all()
        assert not (other == 0.25).all()
    torch.testing.assert_close(stack.restart_log_joint(x)[1], expected, rtol=1e-12, atol=1e-12)


def test_table_leaves_out_frozen_parameters(stack):
    stack.logits.requires_grad_(False)
    table = ParameterTable(stack, 2)
    assert sum(values.numel() for values in table.values) == sum(p.numel() for p in stack.flow.parameters())
    for values in table.values:
        values.fill_(0.0)
    assert stack.logits.any()


def test_table_holds_the_gradients_of_each_restart(stack):
    x = banana().x
    table = ParameterTable(stack, 2)
    expected = torch.autograd.grad(stack.restart_log_joint(x).sum(), list(stack.parameters()))
    table.differentiate(stack.restart_log_joint(x).sum())
    for restart, (values, gradients) in enumerate(table.rows()):
        own = torch.cat([gradient.chunk(2)[restart].flatten() for gradient in expected])
        assert [len(row) for row in values] == [len(row) for row in gradients]
        found = torch.cat(gradients)
        torch.testing.assert_close(found.sort().values, own.sort().values, rtol=1e-12, atol=1e-12)
    for values, gradients in zip(table.values, table.gradients, strict=True):
        values.copy_(gradients)
    for parameter, gradient in zip(stack.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), gradient, rtol=1e-12, atol=1e-12)


def test_table_has_the_norm_of_each_restarts_gradient(stack):
    table = ParameterTable(stack, 2)
    for seed, gradients in enumerate(table.gradients):
        gradients.copy_(torch.randn(gradients.shape, generator=seeded(seed), dtype=gradients.dtype))
    expected = [torch.cat(gradients).square().sum().sqrt().item() for _, gradients in table.rows()]
    assert table.gradient_norms().tolist() == pytest.approx(expected, rel=1e-12)


@pytest.fixture
def step_along(stack, monkeypatch):
    """A function that takes a first step of a stack of two restarts along given gradients, one number for each."""

    def take(*gradients):
        table = ParameterTable(stack, 2)

        def differentiate(loss):
            for tensor in table.gradients:
                tensor.copy_(torch.tensor(gradients, dtype=tensor.dtype)[:, None])

        monkeypatch.setattr(table, "differentiate", differentiate)
        step = Step(stack, LikelihoodObjective(), table, learning_rate=0.1, n_cuts=[0, 0], alpha=0.1)
        before = table.state()
        _, finite = step(banana(20), 1.0)
        moved = [any((new[r] != old[r]).any() for new, old in zip(table.values, before, strict=False)) for r in (0, 1)]
        return finite.tolist(), moved, [torch.cat(one.means) / 0.1 for one in step._optimizers]

    return take


def test_gradient_is_limited_for_each_restart(step_along):
    finite, moved, (first, second) = step_along(100.0, 1e-4)
    assert finite == moved == [True, True]
    assert first.norm().item() == pytest.approx(5, rel=1e-6), "torch takes the factor in single precision"
    torch.testing.assert_close(second, torch.full_like(second, 1e-4), rtol=1e-12, atol=0)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_no_restart_moves_along_a_gradient_that_is_not_finite(step_along, value):
    finite, moved, (first, second) = step_along(1e-3, value)
    assert finite == moved == [True, False]
    torch.testing.assert_close(first, torch.full_like(first, 1e-3), rtol=1e-12, atol=0)
    assert not second.any()


def test_table_goes_back_to_a_saved_state_for_the_chosen_restarts(stack):
    table = ParameterTable(stack, 2)
    before, saved = state(stack), table.state()
    for values in table.values:
        values += 1
    table.copy_rows(saved, table.live_state, torch.tensor([False, True]))
    for name, parameter in stack.named_parameters():
        first, second = before[name].chunk(2)
        assert torch.equal(parameter.detach(), torch.cat([first + 1, second]))


def test_table_keeps_buffers_with_the_values_of_their_restart():
    stack = FlowMixture.stack([batch_normalised_start(banana(), seed=seed) for seed in range(2)])
    table, before = ParameterTable(stack, 2), state(stack)
    saved = table.state()
    with torch.no_grad():
        for tensor in stack.state_dict().values():
            tensor += 1
    table.copy_rows(saved, table.live_state, torch.tensor([False, True]))
    for name, tensor in stack.state_dict().items():
        first, second = before[name].chunk(2)
        assert torch.equal(tensor, torch.cat([first + 1, second])), name


def test_density_is_exact_after_training_through_batches():
    rows, validation = banana(n_features=1), banana(60, n_features=1, seed=1)
    mixture = batch_normalised_start(rows)
    (score,), _, history = learn(
        mixture, rows, options(max_iter=20, learning_rate=0.05), validation=validation, generator=seeded()
    )
    assert score > history.validation_score[0][0]
    assert not any(module.training for module in mixture.modules())
    assert score == pytest.approx(mixture.log_prob(validation.x).mean().item(), rel=1e-12)
    apart = torch.cat([mixture.log_prob(row[None]) for row in validation.x])
    torch.testing.assert_close(apart, mixture.log_prob(validation.x), rtol=1e-12, atol=1e-12)
    grid = torch.linspace(-30, 30, 30001, dtype=torch.float64)
    assert torch.trapezoid(mixture.log_prob(grid[:, None]).exp(), grid).item() == pytest.approx(1, abs=1e-3)


def test_best_state_has_the_running_averages_it_was_scored_with():
    rows, validation = banana(), banana(60, seed=1)
    starts = [batch_normalised_start(rows, seed=seed) for seed in range(3)]
    chosen = options(max_iter=12, n_iter_no_change=2, learning_rate=0.2)
    stack = FlowMixture.stack(starts)
    scores, _, history = learn(stack, rows, chosen, validation=validation, generator=seeded())
    assert min(scores) > -np.inf
    assert scores != history.validation_score[-1], "the last state should not be the best one"
    np.testing.assert_allclose(scores, evaluate(stack, validation), rtol=1e-12)
    for index, start in enumerate(starts):
        learn(start, rows, chosen, validation=validation, generator=seeded())
        assert_same_state(stack.restart(index), start.state_dict(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_leaves_running_averages_and_mode_alone(training):
    rows = banana()
    mixture = batch_normalised_start(rows).train(training)
    before = state(mixture)
    first = evaluate(mixture, rows)
    assert_same_state(mixture, before)
    assert {module.training for module in mixture.modules()} == {training}
    torch.testing.assert_close(first, mixture.eval().log_prob(rows.x).mean()[None], rtol=1e-12, atol=0)


def test_training_averages_over_its_batches():
    rows = banana()
    mixture = batch_normalised_start(rows).eval()
    norm = mixture.flow.transforms[0]
    norm.running_mean.fill_(9.0)
    learn(mixture, rows, options(max_iter=20, learning_rate=1e-9), validation=rows, generator=seeded())
    assert (norm.running_mean - rows.x.mean(0)).abs().max() < 0.3


def test_neighbor_noise_moves_rows_along_the_data():
    position = torch.randn(N_ROWS, generator=seeded(), dtype=torch.float64)
    rows = Rows(torch.stack([position, 2 * position], 1), torch.ones(N_ROWS, dtype=torch.float64))
    mixture = gaussian_start(rows)
    order = position.argsort()
    neighbors = torch.empty((N_ROWS, 1), dtype=torch.int64)
    neighbors[order, 0] = order.roll(1)
    seen = []

    def remember(_, inputs):
        if torch.is_grad_enabled():
            seen.append(inputs[0][0])

    mixture.flow.register_forward_pre_hook(remember)
    learn(mixture, rows, options(max_iter=1, neighbor_noise=0.5), neighbors=neighbors, generator=seeded())
    noisy = torch.cat(seen)
    torch.testing.assert_close(noisy[:, 1], 2 * noisy[:, 0], rtol=0, atol=1e-12)
    assert not torch.isin(noisy[:, 0], position).any()


def test_learns_what_the_loss_asks_for():
    rows = banana()
    mixture = gaussian_start(rows)
    resp = (rows.x[:, 0] > 0).double()
    rows = Rows(rows.x, rows.weight, resp=torch.stack([resp, 1 - resp], 1)[:, None])
    learn(mixture, rows, options(max_iter=15, learning_rate=3e-2), objective=AssignedObjective(), generator=seeded())
    assert (mixture.log_resp(rows.x).argmax(1) == (resp == 0)).double().mean() > 0.95


def test_parameters_that_a_loss_does_not_depend_on_have_no_gradient(stack):
    table = ParameterTable(stack, 2)
    for gradients in table.gradients:
        gradients.fill_(1.0)
    table.differentiate(stack.logits.square().sum())
    found = torch.cat([gradients.flatten() for gradients in table.gradients])
    assert found.count_nonzero() == stack.logits.numel()


def test_an_iteration_takes_at_most_so_many_rows(monkeypatch):
    monkeypatch.setattr(batches, "_MAX_ROWS_PER_ITERATION", 25)
    rows, seen = banana(100), []

    class Watched(RowObjective):
        def __call__(self, model, rows, progress=1.0):
            if torch.is_grad_enabled():
                seen.append(len(rows))
            return LikelihoodObjective()(model, rows, progress)

    learn(gaussian_start(rows), rows, options(max_iter=1, batch_size=10), objective=Watched(), generator=seeded())
    assert seen == [10] * 10
