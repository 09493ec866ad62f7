"""Layers that all components share: the second of the plans of Pires and Figueiredo (2020, arXiv:2009.00585).

From none to all of the layers are shared (`n_shared_layers`): parameters of the mixture, log-likelihood of rows that
were not fitted, and adjusted Rand index, on the pinwheel and on scikit-learn's digits 0 to 4 as principal components.

    python examples/papers/weight_sharing.py [--seeds 2] [--budget small] [--output weight_sharing.png]
"""

from dataclasses import dataclass, field

import numpy as np
from comparison import digits, option_parser, panels, print_table, timed_fit
from sklearn.metrics import adjusted_rand_score
from toy_data import make_pinwheel

from skflowmix import FlowMixtureClustering

COLUMNS = ("data", "shared layers", "parameters", "log-likelihood, held out", "adj. Rand", "seconds")


@dataclass(frozen=True)
class Budget:
    """Sizes of a run: rows of each set, seeds, layers, parameters of the mixture."""

    n_rows: int | None
    n_seeds: int
    n_layers: int
    parameters: dict = field(default_factory=dict)


BUDGETS = {
    "small": Budget(300, 1, 2, {"max_iter": 4, "hidden_layer_sizes": (8,)}),
    "full": Budget(None, 2, 4),
}


def pinwheel(n_rows, seed):
    n_rows = n_rows or 1000
    return *make_pinwheel(n_rows, random_state=seed), *make_pinwheel(n_rows, random_state=1000 + seed)


def digits_0_to_4(n_rows, seed):
    return digits(n_rows=n_rows, seed=seed)


SETS = {"pinwheel": pinwheel, "digits": digits_0_to_4}


def table_row(name, n_shared_layers, budget, n_seeds):
    """Means over seeds of one mixture's row of the table."""
    scores = []
    for seed in range(n_seeds):
        X, y, X_new, y_new = SETS[name](budget.n_rows, seed)
        model = FlowMixtureClustering(
            len(np.unique(y)),
            n_layers=budget.n_layers,
            n_shared_layers=n_shared_layers,
            random_state=seed,
            **budget.parameters,
        )
        model, seconds = timed_fit(model, X)
        n_parameters = sum(parameter.numel() for parameter in model.mixture_.parameters())
        scores.append((model.score(X_new), adjusted_rand_score(y_new, model.predict(X_new)), seconds))
    return [name, n_shared_layers, n_parameters, *np.mean(scores, 0)]


def draw(axis, name, rows):
    """Held-out log-likelihood over the number of parameters."""
    axis.plot([row[2] for row in rows], [row[3] for row in rows], "o-")
    for _, n_shared_layers, n_parameters, score, *_ in rows:
        axis.annotate(f"{n_shared_layers} shared", (n_parameters, score), (3, 3), textcoords="offset points")
    axis.set(title=name, xlabel="parameters", ylabel="held-out log-likelihood, nats")


def main(arguments=None):
    parser = option_parser(__doc__, "weight_sharing.png")
    parser.add_argument("--seeds", type=int, help="how many")
    options = parser.parse_args(arguments)
    budget = BUDGETS[options.budget]
    figure, axes = panels(1, len(SETS))
    for axis, name in zip(axes[0], SETS, strict=True):
        rows = []
        for n_shared_layers in range(budget.n_layers + 1):
            rows.append(table_row(name, n_shared_layers, budget, options.seeds or budget.n_seeds))
            print_table(COLUMNS, rows[-1:], header=name == "pinwheel" and n_shared_layers == 0)
        draw(axis, name, rows)
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
