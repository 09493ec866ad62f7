"""Planar flows of 2, 8 and 32 layers, as Rezende and Mohamed (2015, arXiv:1505.05770) drew them, and networks.

Densities of two features under one component: planar flows, which have no networks, against NICE, RealNVP, MAF and
neural spline flows of four layers, whose single hidden layer is as wide as gives about as many parameters as the
deepest planar flow has, and then as many as `--wide` (those of MAF include what its masks hold at zero). The sets: a
checkerboard, two spirals, eight Gaussians on a circle. The log-likelihood is that of rows that were not fitted.

    python examples/papers/planar_depth.py [--wide 2000] [--budget small] [--output planar_depth.png]
"""

from dataclasses import dataclass, field

import numpy as np
from comparison import draw_density, option_parser, panels, print_table, timed_fit
from toy_data import make_checkerboard, make_eight_gaussians, make_spirals

from skflowmix import FlowMixtureDensity
from skflowmix.modules.flows import make_flow

COLUMNS = ("data", "flow", "layers", "hidden units", "parameters", "log-likelihood, held out", "seconds")
DEPTHS = (2, 8, 32)
NETWORKS = ("nice", "realnvp", "maf", "nsf")
_NETWORK_LAYERS = 4
_MOST_UNITS = 500


@dataclass(frozen=True)
class Budget:
    """Sizes of a run: rows to fit and to hold out, parameters of the fit."""

    n_rows: int
    parameters: dict = field(default_factory=dict)


BUDGETS = {
    "small": Budget(200, {"max_iter": 1}),
    "full": Budget(2000),
}
SETS = {
    "checkerboard": make_checkerboard,
    "spirals": lambda n_rows, random_state: make_spirals(n_rows, noise=0.3, random_state=random_state),
    "eight Gaussians": make_eight_gaussians,
}


def count_parameters(flow, n_layers, n_units):
    """Parameters of a flow of two features with one hidden layer of so many units."""
    made = make_flow(flow, 1, 2, n_layers=n_layers, hidden_layer_sizes=(n_units,))
    return sum(parameter.numel() for parameter in made.parameters())


def width_for(flow, n_parameters):
    """Hidden units with which a flow has closest to so many parameters, which are linear in the units."""
    one, two = (count_parameters(flow, _NETWORK_LAYERS, n_units) for n_units in (1, 2))
    return int(np.clip(1 + round((n_parameters - one) / (two - one)), 1, _MOST_UNITS))


def architectures(n_wide):
    """Yields (flow, layers, hidden units)."""
    for depth in DEPTHS:
        yield "planar", depth, 1
    for n_parameters in (count_parameters("planar", DEPTHS[-1], 1), n_wide):
        for flow in NETWORKS:
            yield flow, _NETWORK_LAYERS, width_for(flow, n_parameters)


def main(arguments=None):
    parser = option_parser(__doc__, "planar_depth.png")
    parser.add_argument("--wide", type=int, default=2000, help="parameters of the larger networks")
    options = parser.parse_args(arguments)
    budget, compared = BUDGETS[options.budget], list(architectures(options.wide))
    figure, axes = panels(len(SETS), len(compared))
    for i, (name, make) in enumerate(SETS.items()):
        (X, _), (X_new, _) = (make(budget.n_rows, random_state=seed) for seed in range(2))
        for j, (flow, n_layers, n_units) in enumerate(compared):
            model = FlowMixtureDensity(
                1, flow=flow, n_layers=n_layers, hidden_layer_sizes=(n_units,), random_state=0, **budget.parameters
            )
            model, seconds = timed_fit(model, X)
            n_parameters = count_parameters(flow, n_layers, n_units)
            shown = "" if flow == "planar" else n_units
            row = [name, flow, n_layers, shown, n_parameters, model.score(X_new), seconds]
            print_table(COLUMNS, [row], header=i == j == 0)
            draw_density(axes[i, j], model, X, f"{flow}, {n_layers} layers, {n_parameters}")
        axes[i, 0].set_ylabel(name)
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
