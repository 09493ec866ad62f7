"""From settings to a mixture that nothing has been learned for, but for its first responsibilities."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.utils import check_array

from ..bridge import seeded_generator
from ..modules import BASES, PRESETS, FlowMixture, PosteriorNetwork, make_flow, make_shared_layers
from .numbers import as_floats, check_layer_sizes, check_numbers

_COUNTS = "n_components", "n_layers", "n_init", "n_estimators"
_FEW_ROWS = 50  # a component and feature; red wine has 33, where sharing gains


def check_architecture(settings):
    """Raise a ValueError where parts of the architecture do not fit each other; of any settings that name one."""
    check_numbers(settings)
    counts = {name: getattr(settings, name, None) for name in _COUNTS}
    check_layer_sizes(settings.hidden_layer_sizes, **counts)
    if settings.n_components == "auto" and not settings.one_flow:
        raise ValueError(f"flow as a list requires n_components as a number, not 'auto'; got {settings.flow!r}.")
    if settings.n_shared_layers == "auto":
        return
    if settings.n_shared_layers > settings.n_layers:
        raise ValueError(f"n_shared_layers={settings.n_shared_layers} is more than n_layers={settings.n_layers}.")
    if settings.n_shared_layers and not isinstance(settings.flow, str):
        raise ValueError("n_shared_layers > 0 requires that all components have one preset: a name as flow.")


def number_of_shared_layers(settings, n_rows, n_components, n_features):
    """How many of the layers all components share.

    "auto" is all where components of one preset have few rows each, so that a flow of its own would be learned from too
    little; else none.
    """
    if settings.n_shared_layers != "auto":
        return settings.n_shared_layers
    few = n_components > 1 and has_few_rows(n_rows, n_components, n_features)
    return settings.n_layers if few and isinstance(settings.flow, str) else 0


def has_few_rows(n_rows, n_components, n_features):
    """Whether flows learn from too little to be learned well: from fewer than 50 rows a component and feature."""
    return n_rows < _FEW_ROWS * n_components * n_features


def check_number_of_flows(settings, n_components):
    """Raise a ValueError where a list of flows is not one for each component."""
    if settings.one_flow:
        return
    unknown = [flow for flow in settings.flow if not (callable(flow) or (isinstance(flow, str) and flow in PRESETS))]
    if unknown or len(settings.flow) != n_components:
        raise ValueError(
            f"flow as a list must name one of {sorted(PRESETS)} for each of the {n_components} components, or hold a "
            f"callable for it; got {settings.flow!r}."
        )


def architecture_of(settings, n_components, n_features, n_shared_layers):
    """What a mixture must have in common with another to go on from its parameters."""
    return {
        "n_components": n_components,
        "n_features": n_features,
        "flow": settings.flow if settings.one_flow else list(settings.flow),
        "n_layers": settings.n_layers,
        "n_shared_layers": n_shared_layers,
        "hidden_layer_sizes": tuple(settings.hidden_layer_sizes),
        "base": settings.base,
        "posterior": settings.posterior,
    }


def check_continuation(wanted, found):
    """Raise a ValueError where an architecture is not that of the mixture that a warm start goes on from."""
    if wanted != found:
        changed = [name for name in wanted if wanted[name] != found[name]]
        raise ValueError(
            f"warm_start=True goes on from a fitted mixture that differs in {', '.join(changed)}; it has {found}."
        )


def new_mixture(settings, X, weight, trust, resp, seed):
    """A mixture whose components are the Gaussians of their shares of the rows.

    Parameters
    ----------
    settings : Settings
    X : ndarray of shape (N, D)
        Standardised rows.
    weight : ndarray of shape (N,)
    trust : ndarray of shape (N,)
        As from `FeatureScaler.trust`.
    resp : ndarray of shape (N, K)
    seed : int

    Returns
    -------
    FlowMixture
        Of one restart.
    """
    n_components, n_features, dtype = resp.shape[1], X.shape[1], getattr(torch, settings.dtype)
    flow, base = make_components(settings, n_components, n_features, seed)
    sizes = _sizes(settings, seed)
    shared = make_shared_layers(settings.flow, n_features, **sizes) if settings.n_shared_layers else None
    posterior = make_posterior(settings, n_components, n_features, seed)
    mixture = FlowMixture(flow, base, n_components, shared=shared, posterior=posterior).to(dtype)
    mixture.initialize(*(torch.as_tensor(column, dtype=dtype) for column in (X, resp * weight[:, None], trust)))
    _set_weights(settings, mixture)
    return mixture


def make_components(settings, n_components, n_features, seed):
    """Flow and base of components that nothing has been learned for."""
    sizes = _sizes(settings, seed)
    flow = make_flow(settings.flow, n_components, n_features, reg_covar=settings.reg_covar, **sizes)
    return flow, BASES[settings.base](n_components, n_features)


def make_posterior(settings, n_components, n_features, seed):
    """A posterior network, or None where the exact posterior is asked for."""
    if settings.posterior == "exact":
        return None
    sizes, generator = tuple(settings.hidden_layer_sizes), seeded_generator(seed, "cpu")
    return PosteriorNetwork(n_features, n_components, hidden_layer_sizes=sizes, generator=generator)


def _sizes(settings, seed):
    return {
        "n_layers": settings.n_layers,
        "n_shared_layers": settings.n_shared_layers,
        "hidden_layer_sizes": tuple(settings.hidden_layer_sizes),
        "generator": seeded_generator(seed, "cpu"),
    }


def of_components(settings, components):
    """The settings with flows and weights of components in that order, where they name those of each.

    Raises
    ------
    ValueError
        If there are not as many weights, or some are not positive.
    """
    if not settings.one_flow:
        settings = replace(settings, flow=[settings.flow[k] for k in components])
    if settings.weights_init is None:
        return settings
    weights = as_floats(settings.weights_init, "weights_init")
    weights = check_array(weights, ensure_2d=False, input_name="weights_init")
    if weights.shape != (len(components),) or (weights <= 0).any():
        raise ValueError(
            f"weights_init must hold {len(components)} positive numbers, one for each component; "
            f"got {settings.weights_init!r}."
        )
    return replace(settings, weights_init=weights[components])


def _set_weights(settings, mixture):
    if settings.weights_init is not None:
        mixture.logits.data.copy_(torch.log_softmax(torch.as_tensor(np.log(settings.weights_init)), 0))
    elif not settings.learn_weights:
        mixture.logits.data.zero_()
    mixture.logits.requires_grad_(settings.learn_weights)
