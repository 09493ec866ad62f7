r"""A mixture of flows: the idea of this package in one module.

Component k has a flow :math:`f_k` from data to latent and a base density :math:`p_0`:

.. math::
    \log p(x \mid k) = \log p_0(f_k(x)) + \log |\det \partial f_k / \partial x|, \qquad
    \log p(x) = \operatorname{logsumexp}_k [\log w_k + \log p(x \mid k)].

All K components of R mixtures (restarts, say) are one batch of C = R K flows, restart by restart.
"""

import copy

import torch
from torch import nn

from . import component_axis, sharing
from .workload import evaluate_some, rows_at_once


class FlowMixture(nn.Module):
    """Mixture of K flows, or R such mixtures side by side.

    Parameters
    ----------
    flow : Transform
        Its component axis has length ``n_restarts * n_components``.
    base : Base
        Latent density with the same component axis.
    n_components : int
        Number K of components of a mixture.
    n_restarts : int, default=1
        Number R of mixtures.
    shared : Transform, default=None
        First steps of all components of a mixture, with a component axis of length R.
    route : sequence of int of length K, default=None
        Of a single mixture that is the mean of some: which of theirs each component's shared layers are, whose
        component axis is as long as those are many. None is one for all.
    posterior : PosteriorNetwork, default=None
        Network of R restarts that answers for the components' probabilities given a row. None leaves that to
        Bayes' rule.

    Attributes
    ----------
    logits : Parameter of shape (R, K)
        Unnormalised log-weights.

    Examples
    --------
    >>> import torch
    >>> from skflowmix.modules import FlowMixture, Normal, make_flow
    >>> mixture = FlowMixture(make_flow("realnvp", 3, 2), Normal(3, 2), n_components=3)
    >>> mixture.log_joint(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """

    def __init__(self, flow, base, n_components, *, n_restarts=1, shared=None, route=None, posterior=None):
        super().__init__()
        self.shared, self.route = shared, route
        self.flow = flow
        self.base = base
        self.n_components = n_components
        self.n_restarts = n_restarts
        self.posterior = posterior
        self.logits = nn.Parameter(torch.zeros(n_restarts, n_components))

    def log_weights(self):
        """Logarithms of the mixture weights, Tensor of shape (R, K)."""
        return self.logits.log_softmax(-1)

    def component_log_prob(self, x, where=None):
        """Log-density of each row under each component.

        Parameters
        ----------
        x : Tensor of shape (N, D) or (R, N, D)
            The same rows for all restarts, or each restart's own.
        where : bool Tensor of shape (R, N, K), default=None
            What is asked for, everything by default; see `workload.evaluate_some`.

        Returns
        -------
        Tensor of shape (R, N, K)
            In nats; what is not asked for has no meaning.
        """
        rows, shared_ladj = self._share(x)
        log_prob = evaluate_some(self._flow_log_prob, rows, None if where is None else where.mT.flatten(0, 1))
        return log_prob.unflatten(0, (self.n_restarts, self.n_components)).mT + shared_ladj

    def _flow_log_prob(self, rows):
        """Log-density of each flow's rows, (R K, N, D) -> (R K, N)."""
        z, ladj = self.flow(rows)
        return self.base.log_prob(z) + ladj

    def _share(self, x):
        """Rows, (N, D) or (R, N, D), as they reach components, (R K, N, D), and a log-determinant, (R, N, 1 or K)."""
        ladj = 0.0
        if self.route is not None:
            x, ladj = sharing.forth(self.shared, self.route, x)
            return x, ladj.mT[None]
        if self.shared is not None:
            x, ladj = self.shared(x.expand(self.n_restarts, *x.shape[-2:]))
            ladj = ladj[:, :, None]
        if x.ndim == 2:
            return x.expand(self.n_restarts * self.n_components, *x.shape), ladj
        return x.repeat_interleave(self.n_components, 0), ladj

    def latent(self, x):
        """Latent coordinates under every component: Tensor of shape (N, D) -> Tensor of shape (R K, N, D)."""
        return self.flow(self._share(x)[0])[0]

    def restart_log_joint(self, x, where=None):
        """`log_joint` of each of the R mixtures, Tensor of shape (R, N, K); `where` as in `component_log_prob`."""
        return self.component_log_prob(x, where) + self.log_weights()[:, None]

    def log_joint(self, x):
        """Joint log-density ``log w_k + log p(x | k)``, in nats: Tensor of shape (N, D) -> Tensor of shape (N, K)."""
        return self.restart_log_joint(x).squeeze(0)

    def log_prob(self, x):
        """Log-density of each row: Tensor of shape (N, D) -> Tensor of shape (N,), in nats."""
        return self.log_joint(x).logsumexp(-1)

    def restart_log_resp(self, x):
        """`log_resp` of each of the R mixtures, Tensor of shape (R, N, K)."""
        if self.posterior is not None:
            return self.posterior(x)
        return self.restart_log_joint(x).log_softmax(-1)

    def log_resp(self, x):
        """Log-probabilities of the components given a row: Tensor of shape (N, D) -> Tensor of shape (N, K).

        Those of the `posterior` where there is one, which takes no evaluation of the flows.
        """
        return self.restart_log_resp(x).squeeze(0)

    def elbo(self, x):
        r"""Bound on each row's log-density by the probabilities :math:`q(k \mid x)` of `log_resp`.

        :math:`\sum_k q(k \mid x) [\log w_k + \log p(x \mid k) - \log q(k \mid x)] \le \log p(x)`, with equality
        where they are the exact ones.

        Parameters
        ----------
        x : Tensor of shape (N, D)

        Returns
        -------
        Tensor of shape (N,)
            In nats.
        """
        if self.posterior is None:
            return self.log_prob(x)
        log_resp = self.log_resp(x)
        return (log_resp.exp() * (self.log_joint(x) - log_resp)).sum(-1)

    def forward(self, x):
        """`log_prob` and `log_resp` together, what ``torch.export.export(mixture, (x,))`` makes a graph of."""
        log_joint = self.log_joint(x)
        log_resp = log_joint.log_softmax(-1) if self.posterior is None else self.log_resp(x)
        return log_joint.logsumexp(-1), log_resp

    def sample(self, n_samples, *, generator=None):
        """Draw rows, sorted by component, and the component of each; see `sample_and_component_log_prob`."""
        return self.sample_and_component_log_prob(n_samples, generator=generator)[:2]

    @torch.no_grad()
    def sample_and_component_log_prob(self, n_samples, *, generator=None):
        """Draw rows, and their log-densities under the component of each, which takes no further pass of the flow.

        Parameters
        ----------
        n_samples : int
        generator : torch.Generator, default=None

        Returns
        -------
        x : Tensor of shape (n_samples, D)
            Sorted by component.
        component : Tensor of shape (n_samples,)
        log_prob : Tensor of shape (n_samples,)
            ``log p(x | component)``, in nats.
        """
        weights = self.log_weights().squeeze(0).exp()
        component = torch.multinomial(weights, n_samples, replacement=True, generator=generator).sort().values
        counts = component.bincount(minlength=self.n_components)
        first, most = counts.cumsum(0) - counts, int(counts.max())
        x, log_prob = weights.new_empty(n_samples, self.base.n_features), weights.new_empty(n_samples)
        for number in torch.arange(most, device=weights.device).split(rows_at_once(self)):
            drawn = number < counts[:, None]
            places = (first[:, None] + number)[drawn]
            x[places], log_prob[places] = (tensor[drawn] for tensor in self._draw(len(number), generator))
        return x, component, log_prob

    def _draw(self, n_samples, generator):
        """So many rows of every component, (K, N, D), and their log-densities under it, (K, N)."""
        shape = (self.n_components, n_samples, self.base.n_features)
        like = {"dtype": self.logits.dtype, "device": self.logits.device}
        return self.from_latent(self.base.sample(shape, generator=generator, **like))

    def from_latent(self, z):
        """Rows (K, N, D) of a single mixture that latent rows (K, N, D) stand for, and log p(x | k), (K, N)."""
        x, ladj = self.flow.inverse(z)
        x, shared_ladj = self._back(x)
        return x, self.base.log_prob(z) - ladj - shared_ladj

    def _back(self, x):
        """Rows (R K, N, D) that those of the components stand for before shared layers, and the log-determinant."""
        if self.shared is None:
            return x, 0.0
        route = self.route or [i for i in range(self.n_restarts) for _ in range(self.n_components)]
        return sharing.back(self.shared, route, x)

    def rsample_and_log_prob(self, n_samples, *, generator=None):
        r"""Differentiable draws of every component, and the log-density of the mixture at them.

        Draws are stratified: with so many of each component an expectation under the mixture is
        :math:`\sum_k w_k` times the mean over those of component k, in which the weights have an exact gradient.

        Parameters
        ----------
        n_samples : int
            Number N of draws of each component.
        generator : torch.Generator, default=None

        Returns
        -------
        x : Tensor of shape (K, N, D)
        log_prob : Tensor of shape (K, N)
            ``log p(x)``, in nats.
        """
        shape = (self.n_restarts * self.n_components, n_samples, self.base.n_features)
        like = {"dtype": self.logits.dtype, "device": self.logits.device}
        x, log_prob = self.restart_transport(self.base.sample(shape, generator=generator, **like))
        return x.squeeze(0), log_prob.squeeze(0)

    def restart_transport(self, z):
        """Rows (R, K, N, D) as of `restart_place`, and the mixture's log-density at them, (R, K, N)."""
        x = self.restart_place(z)
        return x, self.restart_log_joint(x.flatten(1, 2)).logsumexp(-1).view(x.shape[:3])

    def restart_place(self, z):
        """Rows (R, K, N, D) of each of the R mixtures that latent ones (R K, N, D) of the components stand for."""
        x, _ = self._back(self.flow.inverse(z)[0])
        return x.unflatten(0, (self.n_restarts, self.n_components))

    @torch.no_grad()
    def initialize(self, x, resp, trust=None):
        """Start each component of a single mixture at the Gaussian of its share of the rows, and weights at the shares.

        Parameters
        ----------
        x : Tensor of shape (N, D)
        resp : Tensor of shape (N, K)
            Non-negative; rows need not sum to one, so that sample weights can be multiplied in.
        trust : Tensor of shape (N,), default=None
            What the rows count for the Gaussians, in addition; outlying ones should count less.
        """
        share = resp.sum(0, keepdim=True)
        self.logits.copy_((share / share.sum()).clamp_min(1e-10).log())
        if self.shared is not None:
            self.shared.initialize(x[None], resp.sum(1)[None])
        rows, _ = self._share(x)
        self.flow.initialize(rows, resp.T if trust is None else resp.T * trust)

    def restart(self, index):
        """A copy of one of the R mixtures, standing alone."""
        mixture = component_axis.part(self, index, self.n_restarts)
        mixture.n_restarts = 1
        return mixture

    def select(self, components):
        """A copy of a mixture of one restart with some of its components, and the exact posterior.

        Parameters
        ----------
        components : sequence of int
        """
        mixture = copy.deepcopy(self)
        mixture.n_components, mixture.posterior = len(components), None
        if self.route is not None:
            mixture.route, mixtures = sharing.some(self.route, components)
            component_axis.keep(mixture.shared, mixtures)
        component_axis.keep(mixture.flow, components)
        component_axis.keep(mixture.base, components)
        component_axis.put(mixture, "logits", mixture.logits.detach()[:, components].clone())
        return mixture

    def replace(self, components, other, others_components):
        """Put components of another mixture of this architecture in the place of some, in place; weights stay."""
        component_axis.copy_into(self.flow, components, other.flow, others_components)
        component_axis.copy_into(self.base, components, other.base, others_components)

    @classmethod
    def stack(cls, mixtures):
        """One mixture of R restarts out of R mixtures of the same architecture."""
        stacked = component_axis.stack(mixtures)
        stacked.n_restarts = sum(mixture.n_restarts for mixture in mixtures)
        return stacked
