"""What makes steps of gradients, and the average of the weights over steps."""

import pytest
import torch
from torch.optim.adamax import adamax

from skflowmix.modules import FlowMixture, Normal, make_flow
from skflowmix.training import LikelihoodObjective, RowBatches, Rows, TrainingOptions, evaluate, train
from skflowmix.training.averaging import WeightAverage
from skflowmix.training.loop import Run
from skflowmix.training.optimizers import OPTIMIZERS, AdaMax, find_optimizer
from skflowmix.training.parameter_table import ParameterTable

GOES_ON, FAILS = torch.zeros(()), torch.ones(())
NO_EXCESS = torch.ones(())


def gradients_of_steps(n_steps, seed=0):
    return torch.randn(n_steps, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_adamax_is_torchs():
    ours, gradient, theirs = torch.ones(5).double(), torch.zeros(5).double(), torch.ones(5).double()
    optimizer = AdaMax([ours], [gradient], 0.1, 0.0)
    mean, largest, n_steps = torch.zeros_like(theirs), torch.zeros_like(theirs), torch.zeros(())
    for given in gradients_of_steps(20):
        gradient.copy_(3 * given)
        optimizer.step(3 * NO_EXCESS, GOES_ON)
        settings = {"eps": 1e-8, "beta1": 0.9, "beta2": 0.999, "lr": 0.1, "weight_decay": 0.0}
        adamax([theirs], [given], [mean], [largest], [n_steps], **settings)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_steps_of_adamax_are_at_most_as_long_as_the_step_size(scale):
    value, gradient = torch.zeros(5).double(), torch.zeros(5).double()
    optimizer = AdaMax([value], [gradient], 0.1, 0.0)
    for given in gradients_of_steps(50).sinh():
        gradient.copy_(scale * given)
        before = value.clone()
        optimizer.step(NO_EXCESS, GOES_ON)
        assert (value - before).abs().max() <= 0.101


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_decay_in_proportion(name):
    """Without gradients, all that is left of a step."""
    value, gradient = torch.full((5,), 2.0), torch.zeros(5)
    OPTIMIZERS[name]([value], [gradient], 0.1, 0.5).step(NO_EXCESS, GOES_ON)
    torch.testing.assert_close(value, torch.full((5,), 2 * (1 - 0.1 * 0.5)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_that_failed_is_as_if_it_had_not_been(name):
    values, gradient = [torch.ones(5).double() for _ in range(2)], torch.zeros(5).double()
    with_failure, without = (OPTIMIZERS[name]([value], [gradient], 0.1, 0.0) for value in values)
    for i, given in enumerate(gradients_of_steps(6)):
        if i == 3:
            gradient.fill_(torch.nan)
            with_failure.step(NO_EXCESS, FAILS)
        gradient.copy_(given)
        for optimizer in (with_failure, without):
            optimizer.step(NO_EXCESS, GOES_ON)
    torch.testing.assert_close(*values, rtol=0, atol=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_new_start_is_that_of_a_new_optimizer(name):
    values, gradient = [torch.ones(5).double() for _ in range(2)], torch.zeros(5).double()
    old = OPTIMIZERS[name]([values[0]], [gradient], 0.1, 0.0)
    for given in gradients_of_steps(4):
        gradient.copy_(given)
        old.step(NO_EXCESS, GOES_ON)
    values[0].fill_(1)
    old.start_again(0.02)
    for optimizer in (old, OPTIMIZERS[name]([values[1]], [gradient], 0.02, 0.0)):
        optimizer.step(NO_EXCESS, GOES_ON)
    torch.testing.assert_close(*values, rtol=0, atol=0)


def test_an_unknown_optimizer_is_refused():
    with pytest.raises(ValueError, match=r"optimizer must be one of \['adam', 'adamax'\] or a callable; got 'sgd'"):
        find_optimizer("sgd")


@pytest.fixture
def rows():
    x = torch.randn(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Rows(x.sinh(), torch.ones(60, dtype=torch.float64))


def make_stack(n_restarts=1):
    generator = torch.Generator().manual_seed(1)
    sizes = {"n_layers": 1, "hidden_layer_sizes": (8,), "generator": generator}
    flow = make_flow("realnvp", 2 * n_restarts, 2, **sizes)
    return FlowMixture(flow, Normal(2 * n_restarts, 2), 2, n_restarts=n_restarts).double()


def batches_of(rows):
    return RowBatches(rows, 20, generator=torch.Generator().manual_seed(2))


class TestWeightAverage:
    def test_it_is_the_weighted_mean_of_the_values_since_the_start(self):
        table = ParameterTable(make_stack(2), 2)
        average = WeightAverage(table, 0.8)
        seen = [[] for _ in table.values]
        generator = torch.Generator().manual_seed(3)
        for _ in range(4):
            for values, known in zip(table.values, seen, strict=True):
                values.copy_(torch.randn(values.shape, generator=generator, dtype=values.dtype))
                known.append(values.clone())
            average.update()
        weights = 0.8 ** torch.arange(3, -1, -1, dtype=torch.float64)
        with average.in_place():
            for values, known in zip(table.values, seen, strict=True):
                expected = torch.einsum("t,trp->rp", weights / weights.sum(), torch.stack(known))
                torch.testing.assert_close(values, expected)
        for values, known in zip(table.values, seen, strict=True):
            torch.testing.assert_close(values, known[-1], rtol=0, atol=0)

    def test_a_restart_that_starts_again_is_what_it_is_and_others_go_on(self):
        table = ParameterTable(make_stack(2), 2)
        average = WeightAverage(table, 0.8)
        first = [values.clone() for values in table.values]
        average.update()
        average.start_again(1)
        for values in table.values:
            values.add_(1)
        with average.in_place():
            for values, before in zip(table.values, first, strict=True):
                torch.testing.assert_close(values[0], before[0])
                torch.testing.assert_close(values[1], before[1] + 1)

    @pytest.mark.parametrize("decay", [-0.1, 1.0])
    def test_a_decay_that_is_none_is_refused(self, decay):
        with pytest.raises(ValueError, match=r"averaging must be in \[0, 1\)"):
            WeightAverage(ParameterTable(make_stack(), 1), decay)

    def test_the_average_is_scored_and_kept_and_steps_go_on_from_the_last(self, rows):
        """With a decay of next to nothing it is the last step, and with a slow one another state."""
        ends = {}
        for decay in (0.0, 1e-12, 0.9):
            options = TrainingOptions(max_iter=3, learning_rate=0.05, averaging=decay)
            model = make_stack()
            score, *_ = train(model, batches_of(rows), options, validation=rows)
            assert evaluate(model, rows).tolist() == pytest.approx(score, abs=1e-12)
            ends[decay] = model.log_prob(rows.x)
        torch.testing.assert_close(ends[0.0], ends[1e-12])
        assert (ends[0.0] - ends[0.9]).abs().max() > 1e-3

    def test_the_path_of_the_steps_is_that_without_an_average(self, rows):
        tables = []
        for decay in (0.0, 0.9):
            run = Run(make_stack(), batches_of(rows), TrainingOptions(averaging=decay), LikelihoodObjective(), rows)
            run.iterate()
            tables.append(run.table.values)
        for plain, averaged in zip(*tables, strict=True):
            torch.testing.assert_close(plain, averaged, rtol=0, atol=0)

    def test_restarts_are_averaged_as_if_alone(self, rows):
        alone = make_stack()
        both = FlowMixture.stack([alone.restart(0), alone.restart(0)])
        options = TrainingOptions(max_iter=12, learning_rate=0.2, n_iter_no_change=2, averaging=0.9)
        (score,), *_ = train(alone, batches_of(rows), options, validation=rows)
        scores, *_ = train(both, batches_of(rows), options, validation=rows)
        assert scores == pytest.approx([score, score], abs=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_learns(name, rows):
    model = make_stack()
    before = float(evaluate(model, rows))
    (score,), *_ = train(model, batches_of(rows), TrainingOptions(max_iter=10, optimizer=name), validation=rows)
    assert score > before + 0.1
