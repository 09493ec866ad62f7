r"""A mixture of flows given a context: a density of theta for every x, that of a posterior, say.

.. math::
    q(\theta \mid x) = \sum_k w_k(x)\, p_0(f_k(\theta; x))\, |\det \partial f_k(\theta; x) / \partial \theta|.
"""

import torch
from torch import nn

from .bases import Normal
from .draws import normal
from .nets import MLP
from .transforms import AffineMap, Autoregressive, Compose, Coupling, SplineMap

CONDITIONAL_FLOWS = {"maf": AffineMap, "nsf-ar": SplineMap}


class ConditionalFlowMixture(nn.Module):
    """Mixture of K autoregressive flows whose maps and weights are networks' of a context.

    Each flow moves and scales all features by the context alone, and goes on with autoregressive layers in alternating
    order.

    Parameters
    ----------
    n_components : int
        Number K of components.
    n_features : int
        Number D of features of theta.
    n_context : int
        Number H of features of the context.
    flow : {"maf", "nsf-ar"}, default="nsf-ar"
        Affine maps or splines.
    n_layers : int, default=4
    hidden_layer_sizes : tuple of int, default=(64, 64)
        Units in the hidden layers of each network.
    generator : torch.Generator, default=None
        Source of the initial weights.

    Attributes
    ----------
    theta_location, theta_scale : Tensor of shape (1, D)
        What theta is standardised by.
    context_location, context_scale : Tensor of shape (1, H)
    """

    n_restarts = 1
    theta_scale: torch.Tensor

    def __init__(
        self,
        n_components,
        n_features,
        n_context,
        *,
        flow="nsf-ar",
        n_layers=4,
        hidden_layer_sizes=(64, 64),
        generator=None,
    ):
        super().__init__()
        if flow not in CONDITIONAL_FLOWS:
            raise ValueError(f"flow must be one of {sorted(CONDITIONAL_FLOWS)}; got {flow!r}.")
        self.n_components, self.n_features, self.n_context = n_components, n_features, n_context
        how = {"n_context": n_context, "generator": generator}
        place = Coupling(n_components, [False] * n_features, AffineMap(), hidden_layer_sizes, **how)
        if n_components > 1:
            bias = place.conditioner.biases[-1].detach()
            bias[:, :n_features] += normal(n_components, n_features, 1, generator=generator)
        order = list(range(n_features))
        orders = [order if layer % 2 == 0 else order[::-1] for layer in range(n_layers)]
        scalar_map = CONDITIONAL_FLOWS[flow]
        layers = [Autoregressive(n_components, order, scalar_map(), hidden_layer_sizes, **how) for order in orders]
        self.flow = Compose([place, *layers])
        self.base = Normal(n_components, n_features)
        self.gate = MLP(1, (0, *hidden_layer_sizes, n_components), **how) if n_components > 1 else None
        for name, size in (("theta", n_features), ("context", n_context)):
            self.register_buffer(f"{name}_location", torch.zeros(1, size))
            self.register_buffer(f"{name}_scale", torch.ones(1, size))

    @torch.no_grad()
    def standardize(self, theta, context):
        """Take location and scale from pairs, Tensors of shape (N, D) and (N, H); constant features keep their own."""
        for name, rows in (("theta", theta), ("context", context)):
            deviation = rows.std(0, keepdim=True)
            getattr(self, f"{name}_location").copy_(rows.mean(0, keepdim=True))
            getattr(self, f"{name}_scale").copy_(torch.where(deviation > 0, deviation, 1.0))

    def log_weights(self, context):
        """Logarithms of the weights given each context: Tensor of shape (N, H) -> Tensor of shape (N, K)."""
        return self._log_weights(self._standard(context))

    def _standard(self, context):
        return (context - self.context_location) / self.context_scale

    def _log_weights(self, context):
        if self.gate is None:
            return context.new_zeros(len(context), 1)
        return self.gate(context.T[None, :0], context).squeeze(0).T.log_softmax(1)

    def log_prob(self, theta, context):
        """Log-density of each row given its context.

        Parameters
        ----------
        theta : Tensor of shape (N, D)
        context : Tensor of shape (N, H), or (1, H) for all rows

        Returns
        -------
        Tensor of shape (N,)
            In nats.
        """
        context = self._standard(context).expand(len(theta), -1)
        rows = (theta - self.theta_location) / self.theta_scale
        z, ladj = self.flow(rows.expand(self.n_components, *rows.shape), context)
        log_joint = (self.base.log_prob(z) + ladj).T + self._log_weights(context)
        return log_joint.logsumexp(1) - self.theta_scale.log().sum()

    @torch.no_grad()
    def sample(self, n_samples, context, *, generator=None):
        """Draw rows for each context.

        Parameters
        ----------
        n_samples : int
            Number of draws S for each context.
        context : Tensor of shape (N, H)
        generator : torch.Generator, default=None

        Returns
        -------
        Tensor of shape (N, S, D)
        """
        context = self._standard(context).repeat_interleave(n_samples, 0)
        weights = self._log_weights(context).exp()
        component = torch.multinomial(weights, 1, generator=generator).squeeze(1)
        z = self.base.sample(
            (1, len(context), self.n_features), generator=generator, dtype=context.dtype, device=context.device
        )
        rows, _ = self.flow.inverse(z.expand(self.n_components, -1, -1), context)
        own = rows[component, torch.arange(len(context), device=context.device)]
        theta = self.theta_location + self.theta_scale * own
        return theta.view(-1, n_samples, self.n_features)
