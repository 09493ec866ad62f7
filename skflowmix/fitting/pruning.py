"""Fewer components: under a sparse Dirichlet prior, those that are not needed go.

A component is not needed if it and others have cut up one cluster, and one flow describes that cluster as well. The
first is seen in the rows: there is no valley of the density where the components touch. The second is tried: a flow
is trained on the rows of all of them, and held-out rows decide, with what the prior gives for fewer components. One
standard error of the difference is allowed (Breiman et al., 1984, Classification and regression trees).
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from ..modules import FlowMixture
from ..partitions.valleys import neighbor_edges, valleys
from ..training import QUIET, AssignedObjective, e_step, train
from .architecture import make_components, make_posterior

_MAX_ROWS = 10_000
_N_NEIGHBORS = 15
_SHALLOW = 0.7  # cuts through a wing of a pinwheel are at most .59 deep, valleys between wings at least .87


def check_pruning(settings):
    """Raise a ValueError where a sparse prior lacks what it prunes by."""
    one_preset = isinstance(settings.flow, str)
    if settings.prunes and not (one_preset and settings.early_stopping and settings.learn_weights):
        raise ValueError(
            "weight_concentration_prior below 1 prunes components by held-out rows: it requires "
            "early_stopping=True, learn_weights=True and one name for flow."
        )


def without_needless(state, slots, plan, supply, training, random_state):
    """The state that is reached without the components that are not needed, or the given one after Ctrl-C.

    Parameters
    ----------
    state : State
    slots : int ndarray
        Which of the plan's components the state's mixture has.
    plan : Plan
    supply : Supply
    training : Training
    random_state : RandomState

    Returns
    -------
    state : State
    slots : int ndarray
    """
    try:
        return _without_needless(state, slots, plan, supply, training, random_state)
    except KeyboardInterrupt:
        state.history.interrupted = True
        return state, slots


def _without_needless(state, slots, plan, supply, training, random_state):
    settings, rows = training.settings, supply.batches.rows
    seed, n_features = random_state.randint(np.iinfo(np.int32).max), rows.x.shape[1]
    mixture, kept = prune(
        state.mixture,
        supply.batches,
        supply.validation,
        training.options,
        make_flows=partial(make_components, settings, n_features=n_features, seed=seed),
        concentration=settings.weight_concentration_prior,
        component_class=plan.component_class[slots],
        random_state=random_state,
        report=training.report,
    )
    if len(kept) == len(slots):
        return state, slots
    mixture.posterior = make_posterior(settings, len(kept), n_features, seed)
    learned, held_out = (e_step(mixture, part.of_components(kept))[1] for part in (rows, supply.validation))
    supply = replace(supply, batches=replace(supply.batches, rows=learned), validation=held_out)
    return training.solve(mixture.to(rows.x), supply, random_state)[0], slots[kept]


def prune(
    mixture, batches, validation, options, *, make_flows, concentration, component_class, random_state, report=QUIET
):
    """Put one component in the place of several, as long as held-out rows are described as well.

    Parameters
    ----------
    mixture : FlowMixture
        Of one restart. It is not changed.
    batches : RowBatches
    validation : Rows
    options : TrainingOptions
    make_flows : callable
        ``(n) -> (flow, base)`` of so many new components.
    concentration : float
        Parameter of the symmetric Dirichlet prior of the weights, below one.
    component_class : int ndarray of shape (K,)
        Class of each component, -1 for those that no label names. Components of two classes stay two.
    random_state : RandomState
    report : Report, default=QUIET

    Returns
    -------
    mixture : FlowMixture
        With the exact posterior.
    kept : int ndarray
        The given mixture's components that its components stand for.

    Raises
    ------
    KeyboardInterrupt
        At once; the given mixture is as it was.
    """
    rows = batches.rows
    kept = np.arange(mixture.n_components)
    while groups := _cut_up_clusters(mixture, rows, component_class[kept], random_state):
        merged = _train_merged(mixture, groups, batches, validation, options, make_flows, report)
        accepted = _as_good(mixture, merged, groups, rows, validation, concentration)
        if not accepted.any():
            break
        mixture, stay = _put_in_place(mixture, merged, groups, np.flatnonzero(accepted))
        kept = kept[stay]
    used = _used_components(mixture, rows, component_class[kept])
    return mixture.select(used), kept[used]


@torch.no_grad()
def _in_chunks(function, mixture, rows):
    """What a function of some rows returns for all of them; a mixture evaluates so many at once."""
    return torch.cat([function(chunk.x) for chunk in rows.chunks(mixture)])


def _log_joint(mixture, rows):
    return _in_chunks(mixture.log_joint, mixture, rows)


def _labels(mixture, rows):
    return _log_joint(mixture, rows).argmax(1).cpu().numpy()


def _cut_up_clusters(mixture, rows, component_class, random_state):
    """Groups of components with no valley between them; the first one of a group has the group's class."""
    if len(rows) > _MAX_ROWS:
        rows = rows[torch.as_tensor(random_state.choice(len(rows), _MAX_ROWS, replace=False), device=rows.x.device)]
    labels, (edges, sparsity) = _labels(mixture, rows), neighbor_edges(rows.x.cpu().numpy(), _N_NEIGHBORS)
    groups = {k: [k] for k in range(mixture.n_components)}
    while True:
        shallow = {
            pair: depth
            for pair, depth in valleys(labels, edges, sparsity).items()
            if depth < _SHALLOW and len({component_class[groups[k][0]] for k in pair} - {-1}) < 2
        }
        if not shallow:
            return [group for group in groups.values() if len(group) > 1]
        first, second = min(shallow, key=shallow.__getitem__)
        groups[first] = sorted(groups[first] + groups.pop(second), key=lambda k: (component_class[k] < 0, k))
        labels[labels == second] = first


def _train_merged(mixture, groups, batches, validation, options, make_flows, report):
    """One flow for each group, trained on its rows: a stack of mixtures of one component."""
    rows = batches.rows
    flow, base = make_flows(len(groups))
    merged = FlowMixture(flow, base, 1, n_restarts=len(groups)).to(mixture.logits)
    merged.logits.requires_grad_(False)
    shares = [_shares(mixture, groups, part) for part in (rows, validation)]
    merged.flow.initialize(
        shares[0].x.expand(len(groups), *rows.x.shape), (shares[0].resp[:, :, 0] * rows.weight[:, None]).T
    )
    how = {"objective": AssignedObjective(), "validation": shares[1], "report": report, "phase": "pruning"}
    _, _, history = train(merged, replace(batches, rows=shares[0]), options, **how)
    if history.interrupted:
        raise KeyboardInterrupt
    return merged


def _shares(mixture, groups, rows):
    """Rows as they come from the shared layers, each with its probability of every group."""
    resp = _log_joint(mixture, rows).softmax(1)
    resp = torch.stack([resp[:, group].sum(1) for group in groups], 1)[:, :, None]
    x = rows.x if mixture.shared is None else _in_chunks(lambda x: mixture.shared(x[None])[0][0], mixture, rows)
    return replace(rows, x=x, resp=resp, allowed=None)


@torch.no_grad()
def _as_good(mixture, merged, groups, rows, validation, concentration):
    """Whether the held-out rows and the prior allow each merger, bool ndarray."""
    inner = _shares(mixture, groups, validation)
    log_joint, log_weights = _log_joint(mixture, validation), mixture.log_weights()[0]
    before, weight = log_joint.logsumexp(1), validation.weight / validation.weight.sum()
    found = _in_chunks(lambda x: merged.component_log_prob(x).squeeze(2).T, merged, inner)
    if mixture.shared is not None:
        found = found + _in_chunks(lambda x: mixture.shared(x[None])[1].T, mixture, validation)
    verdicts = []
    for group, log_prob in zip(groups, found.T, strict=True):
        others = log_joint.index_fill(1, torch.as_tensor(group, device=log_joint.device), -torch.inf)
        own = log_prob + log_weights[group].logsumexp(0)
        gain = torch.logaddexp(others.logsumexp(1), own) - before
        mean = (weight * gain).sum()
        error = (weight.square() * (gain - mean).square()).sum().sqrt()
        prior = _prior_gain(log_weights[group].exp() * len(rows), concentration) / len(rows)
        verdicts.append(bool(mean + error + prior >= 0))
    return np.array(verdicts)


def _prior_gain(counts, concentration):
    """Log of the ratio of the weights' evidences, one component of all rows to components of so many rows each.

    With the weights integrated out and without the part of their likelihood that the mixture's density contains.
    """
    a = torch.tensor(concentration, dtype=torch.float64)
    counts = counts.double()

    def log_evidence(n):
        return torch.lgamma(n + a) - torch.lgamma(a) - torch.xlogy(n, n)

    return log_evidence(counts.sum()) - log_evidence(counts).sum()


def _put_in_place(mixture, merged, groups, accepted):
    """The mixture with the accepted groups' flows in the place of each group's first member; what stays of it."""
    gone = np.concatenate([groups[i][1:] for i in accepted])
    stay = np.setdiff1d(np.arange(mixture.n_components), gone)
    mixture = mixture.select(np.arange(mixture.n_components))
    for i in accepted:
        mixture.logits.data[:, groups[i][0]] = mixture.logits.data[:, groups[i]].logsumexp(1)
    mixture.replace([groups[i][0] for i in accepted], merged, accepted)
    return mixture.select(stay), stay


def _used_components(mixture, rows, component_class):
    """Components that are the most probable one of some row, and at least one for each class."""
    size = np.bincount(_labels(mixture, rows), minlength=mixture.n_components)
    largest = {
        code: max(np.flatnonzero(component_class == code), key=size.__getitem__) for code in set(component_class)
    }
    return np.array([k for k, code in enumerate(component_class) if size[k] or (code >= 0 and k == largest[code])])
