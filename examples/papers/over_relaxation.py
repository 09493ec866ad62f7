"""Gibbs sampling and over-relaxation behind a normal density: Salimans, Kingma and Welling (2015, arXiv:1410.6460).

The target is a bivariate normal density of correlation .99. Chains begin at the best normal density of independent
features, and go on by sweeps of Gibbs sampling, or of over-relaxation with a learned alpha, both by the target's own
conditionals and with a learned way back. All of it is normal, so that the gap between bound and evidence is known: with
the best way back it is the divergence of the ends of chains from the target. The table has what was learned, that gap
for the alpha that was learned, and the least one over alpha.

    python examples/papers/over_relaxation.py [--budget small] [--output over_relaxation.png]
"""

from dataclasses import dataclass

import numpy as np
import torch
from comparison import option_parser, panels, print_table
from scipy.optimize import minimize_scalar

from skflowmix.inference.approximation import Seen
from skflowmix.inference.coordinates import Coordinates
from skflowmix.inference.extended import ExtendedDivergence, ExtendedMixture
from skflowmix.inference.target import Target
from skflowmix.modules import Chain, FlowMixture, Normal, OverRelaxation, OverRelaxed
from skflowmix.modules.transforms import ActNorm
from skflowmix.training import Noise, NoiseBatches, TrainingOptions, train

COLUMNS = ("sweeps", "method", "alpha", "gap, drawn", "standard error", "gap, best way back", "least gap", "best alpha")
CORRELATION = 0.99
COVARIANCE = np.array([[1.0, CORRELATION], [CORRELATION, 1.0]])
PRECISION = np.linalg.inv(COVARIANCE)
BEGINNING = np.sqrt(1 - CORRELATION**2)
METHODS = {"Gibbs": False, "over-relaxed": True}


@dataclass(frozen=True)
class Budget:
    """Lengths of chains, and sizes of fits."""

    lengths: tuple
    max_iter: int
    n_judges: int


BUDGETS = {"small": Budget((1, 2), 4, 4000), "full": Budget((1, 2, 4, 8, 16), 200, 100_000)}


def log_density(x):
    """Normalised, so that the log-evidence is nil."""
    arm = x @ torch.from_numpy(PRECISION).to(x)
    return -0.5 * (arm * x).sum(1) - np.log(2 * np.pi) - 0.5 * np.log(np.linalg.det(COVARIANCE))


def exact_gap(alpha, n_sweeps):
    """Divergence of the ends of chains from the target, in nats."""
    covariance = BEGINNING**2 * np.eye(2)
    for _ in range(n_sweeps):
        for i in range(2):
            move = np.eye(2)
            move[i, i], move[i, 1 - i] = alpha, (1 - alpha) * CORRELATION
            covariance = move @ covariance @ move.T
            covariance[i, i] += (1 - alpha**2) * (1 - CORRELATION**2)
    ratio = PRECISION @ covariance
    return (np.trace(ratio) - 2 - np.linalg.slogdet(ratio)[1]) / 2


def best_alpha(n_sweeps):
    """Where the gap is least."""
    return minimize_scalar(exact_gap, bounds=(-1, 1), args=(n_sweeps,), method="bounded", options={"xatol": 1e-8}).x


def learned(n_sweeps, with_alpha, budget):
    """The gap by draws of a trained model, and their standard error; its alpha."""
    generator = torch.Generator().manual_seed(0)
    relaxation = OverRelaxation(torch.zeros(2), torch.from_numpy(COVARIANCE).float(), alpha=0.0)
    for parameter in (relaxation.mean, relaxation.factor):
        parameter.requires_grad_(False)
    relaxation.raw_alpha.requires_grad_(with_alpha)
    mixture = FlowMixture(ActNorm(1, 2), Normal(1, 2), 1).requires_grad_(False)
    mixture.flow.log_scale.fill_(-np.log(BEGINNING))
    model = ExtendedMixture(mixture, Chain([OverRelaxed(relaxation) for _ in range(n_sweeps)])).double()

    def draw(n):
        return torch.randn(n, 1, 2 + model.chain.n_noise, generator=generator, dtype=torch.float64)

    target = Target(log_density, vectorized=True, dtype=torch.float64)
    objective = ExtendedDivergence(Seen(target, Coordinates.within(None, 2, torch.device("cpu"))))
    train(
        model,
        NoiseBatches(draw, 256, 25),
        TrainingOptions(budget.max_iter, learning_rate=1e-2, tol=1e-3),
        objective=objective,
        validation=Noise(draw(4096)),
    )
    with torch.no_grad():
        gaps = objective(model, Noise(draw(budget.n_judges)))[0]
    return float(gaps.mean()), float(gaps.std()) / len(gaps) ** 0.5, float(relaxation.alpha().detach())


def main(arguments=None):
    options = option_parser(__doc__, "over_relaxation.png").parse_args(arguments)
    budget = BUDGETS[options.budget]
    figure, axes = panels(1, 2)
    gaps: dict = {name: [] for name in METHODS}
    for length in budget.lengths:
        for name, with_alpha in METHODS.items():
            drawn, error, alpha = learned(length, with_alpha, budget)
            best = best_alpha(length) if with_alpha else 0.0
            least = exact_gap(best, length)
            row = [length, name, alpha, drawn, error, exact_gap(alpha, length), least, best]
            print_table(COLUMNS, [row], header=not any(gaps.values()))
            gaps[name].append((drawn, least))
    for name, found in gaps.items():
        drawn, least = np.array(found).T
        axes[0, 0].plot(budget.lengths, drawn, "o", label=name)
        axes[0, 0].plot(budget.lengths, least, color=axes[0, 0].lines[-1].get_color())
    axes[0, 0].set(xscale="log", yscale="log", xlabel="sweeps", title="gap: learned, and least")
    axes[0, 0].legend()
    alphas = np.linspace(-0.95, 0.95, 77)
    for length in budget.lengths:
        axes[0, 1].plot(alphas, [exact_gap(alpha, length) for alpha in alphas], label=str(length))
    axes[0, 1].set(yscale="log", xlabel="alpha", title="gap by sweeps")
    axes[0, 1].legend()
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
