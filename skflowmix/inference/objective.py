r"""The reverse Kullback-Leibler divergence of a mixture from an unnormalised density.

Of :math:`q = \sum_k w_k q_k` it is, but for the evidence, :math:`\sum_k w_k E_{q_k}[\log q - \log \tilde p]`. The
expectation under :math:`q_k` is that over draws of component k, and log q is the whole mixture's. Its parameters are
taken for constants there (Roeder, Wu and Duvenaud, 2017, Sticking the landing, arXiv:1703.09194): what their gradient
would add, :math:`\sum_k w_k E_{q_k}[\partial \log q]`, is the integral of :math:`\partial q`, which is nil, for the
weights as for the flows. What is left, the way of the draws and the weights in front, is nil without noise where q has
the shape of p.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import torch

PRICE = 20.0


@dataclass(frozen=True)
class ReverseDivergence:
    r"""Loss of latent draws, by which flows learn a target.

    Where the target is nil there is no slope that leads back. Such draws cost a price more than the others in
    the mean, and count by the slope of log q at them: that is the gradient of their probability, times the price.

    Attributes
    ----------
    log_density : callable
        Tensor of shape (N, D) -> Tensor of shape (N,), of the coordinates that the flows have.
    first_temperature : float
        What log p is multiplied by when `progress` is 0; it rises to 1.
    """

    log_density: Callable[[torch.Tensor], torch.Tensor]
    first_temperature: float = 1.0

    @property
    def is_scored_in_full(self):
        return self.first_temperature == 1

    def __call__(self, model, batch, progress=1.0):
        """Loss (R, N), in nats; see `training.Objective`."""
        z = model.base.from_noise(batch.z.transpose(0, 1))
        x = model.restart_place(z)
        log_q = log_density_of_draws(model, x)
        return self.of_draws(model, x, log_q, self.log_density(x.flatten(0, 2)), progress)

    def of_draws(self, model, x, log_q, log_p, progress):
        """Loss (R, N) of draws (R, K, N, D) by log q (R, K, N), and by log p of as many rows (R K N,)."""
        log_p = log_p.view(log_q.shape)
        nil = log_p == -torch.inf
        temperature = self.first_temperature + (1 - self.first_temperature) * progress
        loss = torch.where(nil, 0.0, log_q - temperature * torch.where(nil, 0.0, log_p))
        if nil.any():
            typical = loss.detach().sum((1, 2), keepdim=True) / (~nil).sum((1, 2), keepdim=True).clamp_min(1)
            loss = torch.where(nil, PRICE + typical, loss) + self._push(model, x.detach(), nil)
        return (model.log_weights().exp()[:, :, None] * loss).sum(1)

    def _push(self, model, x, nil):
        """Nothing, with the flows' gradient of the price of draws where the target is nil; the weights have theirs."""
        log_joint = model.component_log_prob(x.flatten(1, 2)) + model.log_weights().detach()[:, None]
        log_q = log_joint.logsumexp(-1).view(nil.shape)
        return torch.where(nil, PRICE * (log_q - log_q.detach()), 0.0)


def log_density_of_draws(model, x):
    """Log-density of a mixture (R, K, N) at draws (R, K, N, D) of its components, its parameters being constants."""
    with constant_parameters(model):
        return model.restart_log_joint(x.flatten(1, 2)).logsumexp(-1).view(x.shape[:3])


@contextmanager
def constant_parameters(model):
    """Parameters that autograd does not follow."""
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
