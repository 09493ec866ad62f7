"""Autoregression: a scalar map of each feature whose parameters depend on the features before it.

Papamakarios, Pavlakou and Murray (2017), Masked autoregressive flow, arXiv:1705.07057. The Jacobian is
triangular. `forward` is one pass of a masked network, `inverse` takes one for each feature; `Inverse` trades
the two, which gives the inverse autoregressive flow (Kingma et al., 2016, arXiv:1606.04934).
"""

import torch

from ..nets import MLP, autoregressive_masks
from .base import Transform


class Autoregressive(Transform):
    """Scalar map of each feature, given the features before it; starts at the identity.

    Parameters
    ----------
    n_components : int
        Number C of maps.
    order : sequence of int of length D
        The features in the order of their dependence; the first one's parameters are learned constants.
    scalar_map : ScalarMap
    hidden_layer_sizes : tuple of int
        Units in the hidden layers of the conditioners.
    n_context : int, default=0
        Number H of context features, which the parameters of every feature depend on.
    generator : torch.Generator, default=None
        Source of the conditioners' initial weights.
    """

    def __init__(self, n_components, order, scalar_map, hidden_layer_sizes, *, n_context=0, generator=None):
        super().__init__()
        self.order = list(order)
        self.scalar_map = scalar_map
        n_features, n_parameters = len(self.order), scalar_map.n_parameters
        self.conditioner = MLP(
            n_components,
            (n_features, *hidden_layer_sizes, n_parameters * n_features),
            masks=autoregressive_masks(self.order, hidden_layer_sizes, n_parameters, n_context=n_context),
            n_context=n_context,
            generator=generator,
        )

    def forward(self, x, context=None):
        x = x.mT
        z, log_slope = self.scalar_map.forward(x, self.conditioner(x, context))
        return z.mT, log_slope.sum(1)

    def inverse(self, z, context=None):
        z = z.mT
        shape = (self.scalar_map.n_parameters, len(self.order))
        # Features not yet known stand at zero: no unit that matters reads them, and nothing can overflow there.
        known = [torch.zeros_like(z[:, :1])] * len(self.order)
        ladj = z.new_zeros(())
        for feature in self.order:
            raw = self.conditioner(torch.cat(known, 1), context).unflatten(1, shape)[:, :, feature]
            known[feature], log_slope = self.scalar_map.inverse(z[:, feature : feature + 1], raw)
            ladj = ladj + log_slope
        return torch.cat(known, 1).mT, ladj.squeeze(1)
