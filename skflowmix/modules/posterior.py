"""A classifier network that answers for the posterior probabilities of the components."""

import torch
from torch import nn

from .nets import MLP


class PosteriorNetwork(nn.Module):
    r"""Amortized posterior :math:`q(k \mid x)`, or R of them side by side.

    Pires and Figueiredo (2020), Variational mixture of normalizing flows, arXiv:2009.00585: the network is trained
    together with the flows on a bound of the likelihood, and assigns rows without evaluating any flow.

    Parameters
    ----------
    n_features : int
    n_components : int
    hidden_layer_sizes : sequence of int, default=(32, 32)
        Units in the hidden layers. Without any, the borders between components are hyperplanes.
    n_restarts : int, default=1
        Number R of networks.
    generator : torch.Generator, default=None
        Source of the initial weights. Whatever they are, all components are equally probable at first.
    """

    def __init__(self, n_features, n_components, *, hidden_layer_sizes=(32, 32), n_restarts=1, generator=None):
        super().__init__()
        self.n_components = n_components
        self.net = MLP(n_restarts, (n_features, *hidden_layer_sizes, n_components), generator=generator)

    @property
    def n_restarts(self):
        """Number R of networks, which grows where mixtures are stacked."""
        return len(self.net.biases[0])

    def forward(self, x, temperature=1.0):
        """Log-probabilities of the components given each row.

        Parameters
        ----------
        x : Tensor of shape (N, D)
        temperature : float, default=1.0
            Divides the logits: a higher one makes the assignments softer.

        Returns
        -------
        Tensor of shape (R, N, K)
        """
        logits = self.net(x.T.expand(self.n_restarts, *x.T.shape)).mT
        return torch.log_softmax(logits / temperature, -1)
