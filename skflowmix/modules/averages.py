"""The mean of several mixtures, which is one mixture of all their components."""

import copy
import math

import torch

from . import component_axis
from .mixture import FlowMixture
from .transforms import Compose, Grouped


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
    flow = component_axis.stack([_flow_with_shared_layers(mixture) for mixture in mixtures])
    for module in flow.modules():
        if isinstance(module, Grouped):
            size = module.n_components
            module.members = [[i * size + k for i in range(len(mixtures)) for k in group] for group in module.members]
    base = component_axis.stack([mixture.base for mixture in mixtures])
    n_components = sum(mixture.n_components for mixture in mixtures)
    mean = FlowMixture(flow, base, n_components)
    logits = torch.cat([mixture.log_weights() for mixture in mixtures], 1) - math.log(len(mixtures))
    component_axis.put(mean, "logits", logits)
    return mean.train(mixtures[0].training)


def _flow_with_shared_layers(mixture):
    """The flow of all components, each with a copy of the layers that they share."""
    if mixture.shared is None:
        return mixture.flow
    shared = copy.deepcopy(mixture.shared)
    component_axis.keep(shared, [0] * mixture.n_components)
    return Compose([shared, mixture.flow])
