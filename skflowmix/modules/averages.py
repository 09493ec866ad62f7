"""The mean of several mixtures, which is one mixture of all their components."""

import math

import torch

from . import component_axis
from .mixture import FlowMixture
from .transforms import Grouped


@torch.no_grad()
def mean_of(mixtures):
    r"""One mixture whose density is the mean of the given ones' densities.

    By Jensen's inequality its log-density is at least the mean of theirs, at any row.

    Parameters
    ----------
    mixtures : sequence of FlowMixture
        Of one restart each and of the same flows, without a posterior network; they may differ in the number of
        components, lists of flows excepted. They are not changed.

    Returns
    -------
    FlowMixture
        The components of the first mixture, then those of the second, and so on.
    """
    flow = component_axis.stack([mixture.flow for mixture in mixtures])
    for module in flow.modules():
        if isinstance(module, Grouped):
            size = module.n_components
            module.members = [[i * size + k for i in range(len(mixtures)) for k in group] for group in module.members]
    base = component_axis.stack([mixture.base for mixture in mixtures])
    n_components = sum(mixture.n_components for mixture in mixtures)
    shared, route = None, None
    if mixtures[0].shared is not None:
        shared = component_axis.stack([mixture.shared for mixture in mixtures])
        route = [i for i, mixture in enumerate(mixtures) for _ in range(mixture.n_components)]
    mean = FlowMixture(flow, base, n_components, shared=shared, route=route)
    logits = torch.cat([mixture.log_weights() for mixture in mixtures], 1) - math.log(len(mixtures))
    component_axis.put(mean, "logits", logits)
    return mean.train(mixtures[0].training)
