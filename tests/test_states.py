"""Which of the states that a clustering went through it keeps."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skflowmix import FlowMixtureDensity
from skflowmix.fitting import CLUSTERING, DENSITY, Settings, choice
from skflowmix.fitting.rows import TrainingSet
from skflowmix.fitting.solving import Training
from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import make_flow
from skflowmix.modules.mixture import FlowMixture
from skflowmix.training import QUIET, AssignedObjective, Rows

LAST, WARM = range(2)
SPREAD = np.array([-1.0, 1.0] * 50)
ONE_ERROR = 0.1
ROWS = Rows(torch.randn((100, 2), generator=torch.Generator().manual_seed(0)), torch.ones(100))


def states(n_states):
    mixture = FlowMixture(make_flow("affine", 2, 2), Normal(2, 2), 2)
    mixture.initialize(ROWS.x, torch.rand((100, 2), generator=torch.Generator().manual_seed(0)))
    return FlowMixture.stack([mixture] * n_states)


def kept(costs, monkeypatch, *, rows=ROWS, scores=None):
    """The state that is kept of the last ones of all restarts and, after them, those at the end of their warm-ups."""
    monkeypatch.setattr(choice, "weigh", lambda *_: SimpleNamespace(costs=np.asarray(costs)))
    n_states, rng = len(costs), np.random.RandomState(0)
    scores = np.zeros(n_states) if scores is None else np.asarray(scores)
    return CLUSTERING.choose(states(n_states), scores, n_states // 2, rows, rng)


@pytest.mark.parametrize(
    ("gain", "expected"), [(-0.5, WARM), (-0.01, WARM), (0.9 * ONE_ERROR, WARM), (1.1 * ONE_ERROR, LAST)]
)
def test_last_state_has_to_be_better_by_a_standard_error(gain, expected, monkeypatch):
    assert kept([SPREAD - gain, np.zeros(100)], monkeypatch) == expected


def test_last_state_is_kept_where_the_partition_is_still_that_of_the_warm_up(monkeypatch):
    assert kept([SPREAD, SPREAD], monkeypatch) == LAST


def test_restart_with_the_best_evidence_decides(monkeypatch):
    last, other_last, warm, other_warm = SPREAD, SPREAD - 3, SPREAD - 1, 0 * SPREAD
    assert kept([last, other_last, warm, other_warm], monkeypatch) == 1
    assert kept([last, 0 * SPREAD + 1, warm, other_warm], monkeypatch) == 2


@pytest.mark.parametrize(("infinite", "expected"), [([0], WARM), ([1], LAST), ([0, 1], WARM)])
def test_state_that_has_fewer_clusters_is_left(infinite, expected, monkeypatch):
    costs = np.array([SPREAD, SPREAD])
    costs[infinite] = np.inf
    assert kept(costs, monkeypatch) == expected


def test_score_decides_where_there_are_labels(monkeypatch):
    labelled = Rows(ROWS.x, ROWS.weight, allowed=torch.ones((100, 2), dtype=torch.bool))
    costs = [SPREAD, SPREAD - 9, SPREAD - 9, SPREAD - 9]
    assert kept(costs, monkeypatch, rows=labelled, scores=[1.0, 0.0, 5.0, 5.0]) == 0
    assert kept(costs, monkeypatch, scores=[1.0, 0.0, 5.0, 5.0]) == 1


def test_evidence_is_that_of_the_states_partitions():
    """A state that cuts through both clusters against one that parts them."""
    x = 0.1 * torch.randn((100, 2), generator=torch.Generator().manual_seed(0))
    x[:50] -= 1
    x[50:] += 1
    rows = Rows(x, torch.ones(100))
    right = torch.arange(100) >= 50
    wrong = x[:, 0] - x[:, 1] > 0

    def state(second):
        mixture = FlowMixture(make_flow("affine", 2, 2), Normal(2, 2), 2)
        mixture.initialize(x, torch.stack([~second, second], 1).float())
        return mixture

    for order, expected in (((right, wrong), LAST), ((wrong, right), WARM)):
        stack = FlowMixture.stack([state(second) for second in order])
        rng = np.random.RandomState(0)
        assert CLUSTERING.choose(stack, np.zeros(2), 1, rows, rng) == expected


@pytest.mark.parametrize("classes", [[], [0, 1]])
@pytest.mark.parametrize("recipe", [CLUSTERING, DENSITY], ids=["clustering", "density"])
def test_clusters_of_the_start_are_labels_where_clusters_are_sought_and_there_are_no_labels(recipe, classes):
    settings = Settings.of(FlowMixtureDensity(supervised_weight=3.0).get_params())
    data = TrainingSet(np.zeros((2, 1)), np.full(2, -1), np.ones(2), classes=np.array(classes))
    training = Training.of(settings, recipe, data, (np.arange(2), np.arange(0)), continues=False, report=QUIET)
    expected = 3.0 if recipe is CLUSTERING and not classes else 0.0
    assert training.objective.of_warm_up == AssignedObjective(expected)
