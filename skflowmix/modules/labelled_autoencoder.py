r"""An autoencoder of rows with classes: a density of rows given a class and a style, and networks that guess both.

.. math::
    L(x, y) &= E_{q(z \mid x, y)} [\log p(x \mid y, z) + \log p(z) - \log q(z \mid x, y)] + \log p(y) \le \log p(x, y)

    U(x) &= \sum_y q(y \mid x) [L(x, y) - \log q(y \mid x)] \le \log p(x)

Kingma, Rezende, Mohamed and Welling (2014), Semi-supervised learning with deep generative models, arXiv:1406.5298,
whose model M2 it is.
"""

import torch
from torch import nn
from torch.nn.functional import one_hot


class LabelledAutoencoder(nn.Module):
    """Densities p(y), p(z) and p(x | y, z), and the guesses q(y | x) and q(z | x, y).

    Parameters
    ----------
    autoencoder : Autoencoder
        Its condition is the class, K numbers of which one is 1 and the others are 0.
    classifier : nn.Module
        Rows (N, D) -> logits of the classes (N, K).
    prior : Tensor of shape (K,)
        Probabilities of the classes, all positive.

    Attributes
    ----------
    log_prior : Tensor of shape (1, K)
    """

    n_restarts = 1
    log_prior: torch.Tensor

    def __init__(self, autoencoder, classifier, prior):
        super().__init__()
        self.autoencoder, self.classifier = autoencoder, classifier
        self.register_buffer("log_prior", prior.log()[None])

    @property
    def n_classes(self):
        """Number K of classes."""
        return self.log_prior.shape[1]

    def log_resp(self, x):
        """Log-probabilities log q(y | x) of the classes given rows (N, D), Tensor of shape (N, K)."""
        return self.classifier(x).log_softmax(1)

    def condition(self, codes):
        """What stands for classes, int Tensor of shape (N,), in the networks: Tensor of shape (N, K)."""
        return one_hot(codes, self.n_classes).to(self.log_prior)

    def terms(self, x, codes, noise):
        """What the bound of each row is made of, given its class.

        Parameters
        ----------
        x : Tensor of shape (N, D)
        codes : int Tensor of shape (N,)
        noise : Tensor of shape (S, N, M)
            As of `Autoencoder.terms`.

        Returns
        -------
        Terms
        """
        return self.autoencoder.terms(x, noise, self.condition(codes))

    def terms_of_classes(self, x, noise):
        """As `terms`, of each row with every class and the same noise: first all rows with the first class."""
        n_rows, n_classes = len(x), self.n_classes
        codes = torch.arange(n_classes, device=x.device).repeat_interleave(n_rows)
        return self.terms(x.repeat(n_classes, 1), codes, noise.repeat(1, n_classes, 1))

    def style(self, x, codes):
        """Mean of q(z | x, y), where the encoder knows it, Tensor of shape (N, L)."""
        return self.autoencoder.mean(x, self.condition(codes))
