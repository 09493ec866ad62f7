r"""Transitions of Markov chains that stand behind a density of draws, each with a model of the way back.

With :math:`x_0` of a density :math:`q` and transitions :math:`q(x_t \mid x_{t-1})`, any densities
:math:`r(x_{t-1} \mid x_t)` make

.. math:: \log \tilde p(x_T) - \log q(x_0) + \sum_t [\log r(x_{t-1} \mid x_t) - \log q(x_t \mid x_{t-1})]

a bound of :math:`\log \int \tilde p` in the mean, and its exponential an unbiased estimate of the integral (Salimans,
Kingma and Welling, 2015, Markov chain Monte Carlo and variational inference, arXiv:1410.6460). Nothing is rejected.
Parameters of q count as constants in its log-density, as in `inference.objective`.
"""

import math

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from .nets import MLP

_STEEPEST = 100.0
_MOST_LOG_SCALE = 5.0


class Chain(nn.Module):
    """Transitions one after the other.

    Parameters
    ----------
    transitions : sequence of nn.Module
        ``transition(x, noise, slope, context) -> (x, log_ratio)``, with `n_features` and `needs_slope`.
    """

    def __init__(self, transitions):
        super().__init__()
        self.transitions = nn.ModuleList(transitions)

    @property
    def n_features(self):
        return self.transitions[0].n_features

    @property
    def needs_slope(self):
        """Whether the gradient of the target decides where draws go."""
        return any(transition.needs_slope for transition in self.transitions)

    @property
    def n_noise(self):
        """Normal numbers that a draw takes."""
        return len(self.transitions) * self.n_features

    def forward(self, x, noise, slope=None, context=None):
        """The ends of chains.

        Parameters
        ----------
        x : Tensor of shape (N, D)
            Where they begin.
        noise : Tensor of shape (N, n_noise)
            Standard normal.
        slope : callable, default=None
            Gradient of the target's logarithm, (N, D) -> (N, D), a row's being a function of the row alone. Required
            where `needs_slope`.
        context : Tensor of shape (N, H), default=None
            What else is known of each row, for transitions that are made for it.

        Returns
        -------
        x : Tensor of shape (N, D)
        log_ratio : Tensor of shape (N,)
            Sum of log r - log q over the transitions, in nats.
        """
        log_ratio = x.new_zeros(len(x))
        for transition, own_noise in zip(self.transitions, noise.split(self.n_features, 1), strict=True):
            x, gain = transition(x, own_noise, slope, context)
            log_ratio = log_ratio + gain
        return x, log_ratio


class Hamiltonian(nn.Module):
    r"""Leapfrog steps with a normal velocity, drawn anew; the way back is that of a normal velocity given the end.

    The map of place and velocity has the determinant one, so that the ratio is
    :math:`\log r(v \mid x) - \log q(v')`, v' being the velocity before and v after the steps. Velocities are in units
    in which their deviations are one; the sizes of the steps, one for each step and feature, have the masses in them.
    With steps of nil among them they are fewer steps, so that the best bound of more is at least as good.

    Parameters
    ----------
    n_features : int
        Number D of features.
    n_steps : int
        Leapfrog steps.
    step : float
        Size of each step at first.
    n_context : int, default=0
        Number H of context features, which that network has as inputs, too.
    hidden_layer_sizes : tuple of int, default=(32, 32)
        Units of the network that with a linear map makes up the mean of the velocity given the end, and deviations; how
        features of the velocity go together, besides, is a shear that is the same everywhere.
    generator : torch.Generator, default=None
        Source of the initial weights.
    """

    needs_slope = True

    def __init__(self, n_features, n_steps, step, *, n_context=0, hidden_layer_sizes=(32, 32), generator=None):
        super().__init__()
        self.n_features = n_features
        self.log_step = nn.Parameter(torch.full((1, n_steps, n_features), float(step)).log())
        self.linear = nn.Parameter(torch.zeros(1, n_features, n_features))
        self.shear = nn.Parameter(torch.zeros(1, n_features, n_features))
        sizes = (n_features, *hidden_layer_sizes, 2 * n_features)
        self.network = MLP(1, sizes, n_context=n_context, activation="silu", generator=generator)

    def forward(self, x, noise, slope, context=None):
        """See `Chain`; the noise is the velocity."""
        end, velocity = leapfrog(x, noise, lambda place: _tamed(slope(place)), self.log_step[0].exp())
        return end, self.log_reverse(velocity, end, context) + 0.5 * noise.square().sum(1)

    def log_reverse(self, velocity, end, context=None):
        """Log-density of velocities (N, D) given where they have led, (N, D), without its constant: (N,)."""
        mean, raw = self.network(end.mT[None], context).squeeze(0).mT.chunk(2, 1)
        mean = mean + end @ self.linear[0]
        log_scale = _MOST_LOG_SCALE * (raw / _MOST_LOG_SCALE).tanh()
        arm = velocity - mean
        sheared = arm + arm @ self.shear[0].tril(-1).mT
        return _log_normal(sheared, 0.0, log_scale).sum(1)


def leapfrog(x, velocity, slope, steps):
    """Places and velocities, both (N, D), after leapfrog steps of sizes (L, D).

    With the velocity turned round, and the steps in the reverse order, they lead back.
    """
    acceleration = slope(x)
    for step in steps:
        velocity = velocity + step / 2 * acceleration
        x = x + step * velocity
        acceleration = slope(x)
        velocity = velocity + step / 2 * acceleration
    return x, velocity


def _tamed(slope):
    """Slopes no steeper than some length, so that no step leads to infinity: any function of the place will do."""
    steepest = _STEEPEST * slope.shape[1] ** 0.5
    return slope * (steepest / torch.linalg.vector_norm(slope, dim=1, keepdim=True).clamp_min(steepest))


class OverRelaxation(nn.Module):
    r"""What the steps of over-relaxed chains have in common: moments of a Gaussian like the target, and :math:`\alpha`.

    Given the other features, feature i of the Gaussian has a mean :math:`\mu_i` that is linear in them, and a
    deviation :math:`\sigma_i`. A sweep goes from feature to feature,

    .. math:: x_i \leftarrow \mu_i + \alpha (x_i - \mu_i) + \sigma_i \sqrt{1 - \alpha^2} \varepsilon,

    which leaves the Gaussian as it is, and is Gibbs sampling where :math:`\alpha` is nil (Adler, 1981).

    Parameters
    ----------
    mean : Tensor of shape (D,)
    covariance : Tensor of shape (D, D)
    alpha : float, default=0.5
    """

    def __init__(self, mean, covariance, alpha=0.5):
        super().__init__()
        factor = torch.linalg.cholesky(torch.linalg.inv(covariance))
        self.mean = nn.Parameter(mean[None].clone())
        self.factor = nn.Parameter(factor[None].clone())
        self.raw_alpha = nn.Parameter(torch.as_tensor(alpha).to(mean).atanh().view(1, 1))

    def alpha(self):
        """Tensor of shape ()."""
        return self.raw_alpha.tanh().squeeze()

    def sweep(self):
        """How a sweep replaces features: weights (D, D) of them all, those of the features replaced in the diagonal,
        the constants (D,), and logarithms of the deviations (D,)."""
        factor = self.factor[0].tril()
        precision = factor @ factor.mT
        pull = 1 - self.alpha()
        size = precision.diagonal()
        regression = torch.eye(len(size)).to(size) - precision / size[:, None]
        weights = pull * regression + self.alpha() * torch.eye(len(size)).to(size)
        constants = pull * (self.mean[0] - regression @ self.mean[0])
        raw = self.raw_alpha.squeeze()
        log_sech = math.log(2) + logsigmoid(2 * raw) - raw
        return weights, constants, log_sech - size.log() / 2


class OverRelaxed(nn.Module):
    """A sweep of over-relaxation; the way back replaces the features one by one as well, the last one first.

    Each is normal about a linear function of all features at that time. Its coefficients are those of the sweep, which
    is its own way back where it leaves the density as it is, and what is learned to be added to them. Where x_0 is
    normal the exact way back is of that form, whatever the target is.

    Parameters
    ----------
    relaxation : OverRelaxation
        Shared by the sweeps of a chain.
    """

    needs_slope = False

    def __init__(self, relaxation):
        super().__init__()
        self.relaxation = relaxation
        self.n_features = relaxation.mean.shape[1]
        self.weights = nn.Parameter(torch.zeros_like(relaxation.factor))
        self.constants = nn.Parameter(torch.zeros_like(relaxation.mean))
        self.log_scale = nn.Parameter(torch.zeros_like(relaxation.mean))

    def forward(self, x, noise, slope=None, context=None):
        """See `Chain`."""
        weights, constants, log_scale = self.relaxation.sweep()
        log_ratio = x.new_zeros(len(x))
        for i in range(self.n_features):
            old, mean = x[:, i], x @ weights[i] + constants[i]
            fixed_mean = x @ weights[i].detach() + constants[i].detach()
            new = mean + log_scale[i].exp() * noise[:, i]
            log_q = _log_normal(new, fixed_mean, log_scale[i].detach())
            x = torch.cat([x[:, :i], new[:, None], x[:, i + 1 :]], 1)
            back = x @ (weights[i] + self.weights[0, i]) + constants[i] + self.constants[0, i]
            log_ratio = log_ratio + _log_normal(old, back, log_scale[i] + self.log_scale[0, i]) - log_q
        return x, log_ratio


def _log_normal(x, mean, log_scale):
    """Normal log-density without its constant, number by number."""
    return -0.5 * ((x - mean) * (-log_scale).exp()).square() - log_scale
