"""Counts that vary more than binomial ones, with Hamiltonian transitions: Salimans, Kingma and Welling (2015,
arXiv:1410.6460).

Cases among those at risk in ten wards are beta-binomial. They are made up, drawn with a fixed seed from that density.
In the logarithms of its two parameters the posterior is a narrow, bent ridge: the counts know the mean well, and the
precision badly. One normal density of independent features is a poor fit. Behind it stands one Hamiltonian transition
of 1 to 16 leapfrog steps (0: none), which are as short as the ridge is narrow, and have to lead along it. The evidence
is a sum over a fine grid, the bound the mean over three fits that differ in seed, with the standard error by their
spread.

    python examples/papers/overdispersed_counts.py [--budget small] [--output overdispersed_counts.png]
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from comparison import option_parser, panels, print_table
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from torch.nn.functional import softplus

from skflowmix import FlowMixturePosterior
from skflowmix.modules.transforms import ActNorm

COLUMNS = ("leapfrog steps", "gap, mean", "standard error", "gaps", "log-evidence less exact", "Pareto k")
A, B, N_WARDS = 5.0, 8.0, 10


@dataclass(frozen=True)
class Budget:
    """Transitions, seeds and parameters of fits."""

    n_steps: tuple
    n_seeds: int
    parameters: dict = field(default_factory=dict)


TO_THE_END = {"max_iter": 100, "n_draws": 256, "learning_rate_init": 3e-2, "n_iter_no_change": 10}
BUDGETS = {
    "small": Budget((0, 2), 2, {"max_iter": 4, "n_draws": 64}),
    "full": Budget((0, 1, 2, 4, 8, 16), 3, TO_THE_END),
}


def wards():
    """Cases and numbers at risk, both int ndarrays."""
    rng = np.random.default_rng(0)
    at_risk = rng.integers(10, 50, N_WARDS)
    return rng.binomial(at_risk, rng.beta(A, B, N_WARDS)), at_risk


CASES, AT_RISK = (torch.from_numpy(column) for column in wards())


def log_density(theta):
    """Of log a and log b, by the usual vague priors: of the mean m = a / (a + b) the density 1 / (m (1 - m)), of the
    precision K = a + b the density 1 / (1 + K)^2."""
    log_a, log_b = theta.unbind(1)
    log_precision = torch.logaddexp(log_a, log_b)
    log_likelihood = (
        _log_rising(log_a, CASES) + _log_rising(log_b, AT_RISK - CASES) - _log_rising(log_precision, AT_RISK)
    )
    return log_likelihood + log_precision - 2 * softplus(log_precision)


def _log_rising(log_x, counts):
    """Sum over counts n of log [x (x + 1) ... (x + n - 1)]."""
    number = torch.arange(1, int(counts.max()))
    times = (counts[:, None] > number).sum(0).to(log_x)
    return log_x * int((counts > 0).sum()) + (log_x.exp()[:, None] + number).log() @ times


def independent(n_components, n_features, **_):
    """A flow that makes a normal density one of independent features."""
    return ActNorm(n_components, n_features)


def grid(n=600):
    """Of log a and log b, and the log-density at all pairs, all of shape (n, n)."""
    axes = np.meshgrid(*[np.linspace(-8, 24, n)] * 2, indexing="ij")
    points = torch.from_numpy(np.stack([axis.ravel() for axis in axes], 1))
    return *axes, torch.cat([log_density(part) for part in points.split(50_000)]).numpy().reshape(n, n)


def exact_log_evidence(log_a, log_b, value):
    """By the trapezoidal rule, which at the edges of the grid has nothing to add."""
    cell = (log_a[1, 0] - log_a[0, 0]) * (log_b[0, 1] - log_b[0, 0])
    return logsumexp(value) + np.log(cell)


def fit(n_steps, seed, parameters):
    transition = {"transition": "hamiltonian", "n_leapfrog_steps": n_steps} if n_steps else {}
    posterior = FlowMixturePosterior(1, flow=independent, base="normal", random_state=seed, **transition, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The mixture misses parts")  # as the table shows
        return posterior.fit(log_density, 2)


def main(arguments=None):
    options = option_parser(__doc__, "overdispersed_counts.png").parse_args(arguments)
    budget, table = BUDGETS[options.budget], grid()
    truth = exact_log_evidence(*table)
    figure, axes = panels(1, len(budget.n_steps) + 1)
    gaps = []
    for axis, n_steps in zip(axes[0, 1:], budget.n_steps, strict=True):
        fits = [fit(n_steps, seed, budget.parameters) for seed in range(budget.n_seeds)]
        found = np.array([truth - posterior.elbo_ for posterior in fits])
        gaps.append(found.mean())
        error = found.std(ddof=1) / len(found) ** 0.5
        evidence = np.mean([posterior.log_evidence_ for posterior in fits]) - truth
        shown = " ".join(f"{gap:.4f}" for gap in found)
        row = [n_steps, f"{gaps[-1]:.4f}", f"{error:.4f}", shown, evidence, max(p.pareto_k_ for p in fits)]
        print_table(COLUMNS, [row], header=len(gaps) == 1)
        theta = fits[0].sample(1500, random_state=0)
        axis.plot(*theta.T, ".", markersize=2)
        axis.set(title=f"{n_steps} leapfrog steps")
    for axis in axes[0, 1:]:
        axis.contour(*table[:2], np.exp(table[2] - table[2].max()), 6, colors="black", linewidths=0.6)
        axis.set(xlim=(-1, 4), ylim=(-1, 4), xlabel="log a", ylabel="log b")
    axes[0, 0].plot(budget.n_steps, gaps, "o-")
    axes[0, 0].set(title="gap", xlabel="leapfrog steps", yscale="log")
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
