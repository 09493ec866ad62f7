"""Components that are left out of a step must not be missed."""

import math
from dataclasses import replace

import pytest
import torch
from learning import learn

from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import make_flow
from skflowmix.modules.mixture import FlowMixture
from skflowmix.modules.posterior import PosteriorNetwork
from skflowmix.modules.transforms import BatchNorm, Compose
from skflowmix.training import AssignedObjective, LikelihoodObjective, Rows, evaluate, objectives
from skflowmix.training.compilation import compiled
from skflowmix.training.relevance import Relevance

N_COMPONENTS = 4
CENTRES = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 30.0], [60.0, 60.0]], dtype=torch.float64)
LOG_ROUNDING = math.log(torch.finfo(torch.float64).eps)


def clusters(n_rows=200, *, with_labels=False):
    """Rows of four clusters, of which two overlap; every other row of the last one says that it is of the first."""
    generator = torch.Generator().manual_seed(0)
    cluster = torch.arange(n_rows) % N_COMPONENTS
    x = CENTRES[cluster] + torch.randn((n_rows, 2), generator=generator, dtype=torch.float64)
    allowed = torch.ones((n_rows, N_COMPONENTS), dtype=torch.bool)
    allowed[7::8, 1:] = False
    weight = torch.rand(n_rows, generator=generator, dtype=torch.float64) + 0.5
    return Rows(x, weight, allowed if with_labels else None), cluster


def mixture_of(rows, cluster, *, n_restarts=1):
    resp = torch.nn.functional.one_hot(cluster, N_COMPONENTS).double()
    restarts = []
    for seed in range(n_restarts):
        generator = torch.Generator().manual_seed(seed)
        flow = make_flow("nsf", N_COMPONENTS, 2, n_layers=2, hidden_layer_sizes=(8,), generator=generator)
        mixture = FlowMixture(flow, Normal(N_COMPONENTS, 2), N_COMPONENTS).double()
        mixture.initialize(rows.x, resp)
        restarts.append(mixture)
    return FlowMixture.stack(restarts)


def relevant_rows(mixture, rows):
    relevance = Relevance(mixture, rows)
    relevance.renew(torch.arange(len(rows)), 1)
    return replace(rows, relevant=relevance.relevant)


def gradients(mixture, loss):
    return torch.autograd.grad(loss.sum(), list(mixture.parameters()), allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("with_labels", [False, True])
@pytest.mark.parametrize("n_restarts", [1, 2])
def test_loss_and_gradient_are_those_of_all_components(n_restarts, with_labels):
    rows, cluster = clusters(with_labels=with_labels)
    mixture = mixture_of(rows, cluster, n_restarts=n_restarts)
    some = relevant_rows(mixture, rows)
    assert 0.25 < some.relevant.double().mean() < 0.45
    loss, expected = (LikelihoodObjective()(mixture, which) for which in (some, rows))
    torch.testing.assert_close(loss, expected, rtol=1e-14, atol=1e-13)
    for one, other in zip(gradients(mixture, loss), gradients(mixture, expected), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_restarts", [1, 2])
def test_warm_up_has_the_loss_and_gradient_of_all_components(n_restarts):
    """Also of rows whose own component is the one that need not be taken into account."""
    rows, cluster = clusters()
    mixture, objective = mixture_of(rows, cluster, n_restarts=n_restarts), AssignedObjective(1.0)
    resp = torch.nn.functional.one_hot(cluster.roll(1), N_COMPONENTS).double()
    rows = replace(rows, resp=resp[:, None].expand(-1, n_restarts, -1))
    some = relevant_rows(mixture, rows)
    assert not some.relevant[rows.resp > 0].all()
    assert objective.demands(mixture).relevance
    loss, expected = (objective(mixture, which) for which in (some, rows))
    torch.testing.assert_close(loss, expected, rtol=1e-14, atol=1e-13)
    for one, other in zip(gradients(mixture, loss), gradients(mixture, expected), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_flows_see_as_many_rows_as_matter_to_the_one_to_which_most_do(monkeypatch):
    rows, cluster = clusters()
    mixture = mixture_of(rows, cluster)
    some, seen, forward = relevant_rows(mixture, rows), [], type(mixture.flow).forward
    monkeypatch.setattr(type(mixture.flow), "forward", lambda flow, x, *_: seen.append(x.shape[1]) or forward(flow, x))
    LikelihoodObjective()(mixture, some)
    assert seen == [int(some.relevant.sum(0).max())]
    assert seen[0] <= 100


def test_relevant_is_what_is_above_rounding_and_what_a_label_allows():
    rows, cluster = clusters(with_labels=True)
    mixture = mixture_of(rows, cluster)
    expected = mixture.log_resp(rows.x) >= LOG_ROUNDING
    assert not expected[7::8, 0].any()
    expected[7::8, 0] = True
    assert torch.equal(relevant_rows(mixture, rows).relevant[:, 0], expected)


def test_rows_that_no_component_explains_keep_all():
    rows, cluster = clusters()
    mixture = mixture_of(rows, cluster)
    mixture.logits.data.fill_(torch.nan)
    assert relevant_rows(mixture, rows).relevant.all()


def test_rows_are_looked_at_again_after_four_iterations():
    rows, cluster = clusters()
    mixture = mixture_of(rows, cluster)
    relevance, everything, some = Relevance(mixture, rows), torch.arange(len(rows)), torch.arange(50)
    relevance.renew(some, 1)
    assert relevance.relevant[50:].all()
    relevance.renew(everything, 3)
    before = relevance.relevant.clone()
    mixture.logits.data[0, 0] = -1e4
    relevance.renew(everything, 4)
    assert torch.equal(relevance.relevant, before)
    relevance.renew(everything, 5)
    assert not relevance.relevant[:50, 0, 0].any()
    assert torch.equal(relevance.relevant[50:], before[50:])


def test_rows_of_which_nothing_changes_are_looked_at_half_as_often(monkeypatch):
    """Every eighth row gains a component before the third look, and its waiting begins anew."""
    rows, cluster = clusters()
    relevance = Relevance(mixture_of(rows, cluster), rows)
    everything, above_rounding, looks = torch.arange(len(rows)), relevance._above_rounding, {}

    def look(some):
        index = (rows.x[:, None] == some.x).all(-1).nonzero()[:, 0]
        looks[iteration] = set(index.tolist())
        relevant = above_rounding(some)
        relevant[index % 8 == 0, :, 2] ^= iteration > 5
        return relevant

    monkeypatch.setattr(relevance, "_above_rounding", look)
    for iteration in range(1, 40):
        relevance.renew(everything, iteration)
    changed = set(range(0, 200, 8))
    same = set(range(200)) - changed
    assert looks == {1: same | changed, 5: same | changed, 13: same | changed, 17: changed, 25: changed, 29: same}


def test_training_ends_where_it_does_with_all_components(monkeypatch):
    rows, cluster = clusters()
    start = mixture_of(rows, cluster)
    options = {"max_iter": 6, "batch_size": 50, "learning_rate": 2e-3}
    scores = []
    for leaves_out in (True, False):
        monkeypatch.setattr(objectives, "_may_leave_rows_out", lambda _, answer=leaves_out: answer)
        mixture = FlowMixture.stack([start])
        learn(mixture, rows, options, generator=torch.Generator().manual_seed(0))
        scores.append(evaluate(mixture, rows).item())
    assert scores[0] > evaluate(start, rows).item() + 0.01
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_without_a_discriminative_term_the_warm_up_need_not_ask_what_is_relevant():
    mixture = mixture_of(*clusters())
    assert AssignedObjective(1.0).demands(mixture).relevance
    assert not AssignedObjective().demands(mixture).relevance


@pytest.mark.parametrize("reason", ["one component", "posterior", "consistency", "batch statistics", "compiled"])
def test_everything_is_taken_where_something_needs_it(reason):
    rows, cluster = clusters()
    mixture, objective = mixture_of(rows, cluster), LikelihoodObjective()
    assert objective.demands(mixture).relevance
    if reason == "one component":
        mixture.n_components = 1
    elif reason == "posterior":
        mixture.posterior = PosteriorNetwork(2, N_COMPONENTS)
    elif reason == "consistency":
        objective = LikelihoodObjective(consistency_weight=1.0)
    elif reason == "batch statistics":
        mixture.flow = Compose([*mixture.flow.transforms, BatchNorm(N_COMPONENTS, 2)])
    else:
        with compiled(mixture.flow):
            assert not objective.demands(mixture).relevance
        return
    assert not objective.demands(mixture).relevance
