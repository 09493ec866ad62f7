"""The four energies of Rezende and Mohamed (2015, arXiv:1505.05770), fitted by the reverse divergence.

Planar flows of 2, 8 and 32 layers, as they drew them, against radial flows, NICE, RealNVP and splines, and mixtures of
two and four. Three of the four energies have no finite integral: all are put in a box, |x| and |y| < 4, whose walls are
soft. The divergence KL(q || p) is the exact one, by a sum over a grid. Like the paper's, fits of one component begin
with a temperature (`annealing_iter`): without it they stay in the mode that they begin in. The default preset has its
defaults. Seconds are the processor's.

    python examples/papers/energies.py [--energies 1 2] [--budget small] [--output energies.png]
"""

import math
import time
import warnings
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from comparison import option_parser, panels, print_table
from log_densities import energy, square_grid

from skflowmix import FlowMixturePosterior

COLUMNS = ("energy", "flow", "layers", "K", "divergence, nats", "greatest", "seconds")
_HALF_WIDTH = 6.0


@dataclass(frozen=True)
class Case:
    """Flows of one kind, and the seeds that they are fitted with; `n_components` None is the default preset."""

    flow: str
    n_layers: int
    n_components: int | None = 1
    n_seeds: int = 1


@dataclass(frozen=True)
class Budget:
    """Sizes of a run: points along a side of the grid, most seeds, parameters of every fit."""

    n_grid: int
    most_seeds: int
    parameters: dict = field(default_factory=dict)


CASES = (
    *(Case("planar", depth, n_seeds=3) for depth in (2, 8, 32)),
    Case("radial", 8),
    Case("nice", 8),
    Case("realnvp", 8),
    Case("nsf", 4),
    Case("planar", 8, 4),
    Case("realnvp", 8, 2),
    Case("realnvp", 8, None),
)
BUDGETS = {
    "small": Budget(121, 1, {"max_iter": 1, "annealing_iter": 0, "n_draws": 64}),
    "full": Budget(601, 3),
}
ONE_COMPONENT = {"annealing_iter": 15, "max_iter": 40, "learning_rate_init": 1e-2, "n_iter_no_change": 5}


class Grid:
    """Points of a square, and what a density's integral is there."""

    def __init__(self, n):
        self.n = n
        self.points, self.log_area = square_grid(_HALF_WIDTH, n)

    def normalized(self, log_density):
        """Log-density of points (N, 2) with an integral of one, ndarray of shape (N,)."""
        values = log_density(self.points).numpy()
        return values - np.logaddexp.reduce(values) - self.log_area

    def divergence(self, log_q, log_p):
        """KL(q || p) in nats."""
        return float((np.exp(log_q + self.log_area) * (log_q - log_p)).sum())

    def draw(self, axis, log_density, title):
        inner = np.abs(self.points.numpy()).max(1) < 4.5
        side = math.isqrt(int(inner.sum()))
        axis.imshow(np.exp(log_density[inner]).reshape(side, side).T, origin="lower", cmap="viridis")
        axis.set(title=title, xticks=[], yticks=[])


def fit(case, number, seed, parameters):
    """A fitted posterior and its seconds; one that leaves parts of the density out is taken as it is."""
    common = {"flow": case.flow, "n_layers": case.n_layers, "random_state": seed}
    if case.n_components is not None:
        common |= {"n_components": case.n_components, **ONE_COMPONENT}
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = FlowMixturePosterior(**common | parameters).fit(partial(energy, number=number), 2)
    return model, time.process_time() - start


def main(arguments=None):
    parser = option_parser(__doc__, "energies.png")
    parser.add_argument("--energies", nargs="+", type=int, default=[1, 2, 3, 4], choices=[1, 2, 3, 4])
    options = parser.parse_args(arguments)
    budget = BUDGETS[options.budget]
    grid = Grid(budget.n_grid)
    figure, axes = panels(len(options.energies), len(CASES) + 1)
    for i, number in enumerate(options.energies):
        log_p = grid.normalized(partial(energy, number=number))
        grid.draw(axes[i, 0], log_p, f"U{number}")
        for j, case in enumerate(CASES):
            found = []
            for seed in range(min(case.n_seeds, budget.most_seeds)):
                model, seconds = fit(case, number, seed, budget.parameters)
                log_q = model.score_samples(grid.points)
                found.append((grid.divergence(log_q, log_p), seconds))
            divergences, seconds = zip(*found, strict=True)
            n_components = f"auto: {model.n_components_}" if case.n_components is None else case.n_components
            row = [f"U{number}", case.flow, case.n_layers, n_components]
            row += [float(np.mean(divergences)), max(divergences), max(seconds)]
            print_table(COLUMNS, [row], header=i == j == 0)
            grid.draw(axes[i, j + 1], log_q, f"{case.flow} {case.n_layers}, K = {n_components}: {row[4]:.3f}")
    figure.savefig(options.output, dpi=80)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
