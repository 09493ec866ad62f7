"""Components that are not needed go: the first of the plans of Pires and Figueiredo (2020, arXiv:2009.00585).

A pinwheel of 5 wings is fitted with 12 components, without a prior and with a sparse Dirichlet prior of the weights
(`weight_concentration_prior`); fits with others of its values follow. Defaults otherwise; the adjusted Rand index is
that of the fitted rows.

    python examples/papers/pruning.py [--seeds 10] [--rows 2560] [--budget small] [--output pruning.png]
"""

from dataclasses import dataclass, field, replace

from comparison import draw_clusters, option_parser, panels, print_table, timed_fit
from sklearn.metrics import adjusted_rand_score
from toy_data import make_pinwheel

from skflowmix import FlowMixtureClustering

COLUMNS = ("prior", "seed", "components", "adj. Rand", "log-likelihood, fitted", "held out", "seconds")
N_COMPONENTS = 12
CONCENTRATION = 0.01
OTHER_CONCENTRATIONS = (1e-4, 0.1, 0.5)


@dataclass(frozen=True)
class Budget:
    """Sizes of a run: rows, seeds, seeds with the other priors, parameters of the mixture."""

    n_rows: int
    n_seeds: int
    n_seeds_of_others: int
    parameters: dict = field(default_factory=dict)


BUDGETS = {
    "small": Budget(250, 1, 1, {"max_iter": 3, "n_layers": 2, "hidden_layer_sizes": (8,)}),
    "full": Budget(2560, 10, 1),
}


def fit_row(concentration, seed, budget):
    """The fitted mixture, its rows, and its row of the table."""
    X, y = make_pinwheel(budget.n_rows, random_state=seed)
    X_new, _ = make_pinwheel(budget.n_rows, random_state=1000 + seed)
    model = FlowMixtureClustering(
        N_COMPONENTS, weight_concentration_prior=concentration, random_state=seed, **budget.parameters
    )
    model, seconds = timed_fit(model, X)
    scores = adjusted_rand_score(y, model.labels_), model.score(X), model.score(X_new)
    return model, X, [str(concentration), seed, model.n_components_, *scores, seconds]


def main(arguments=None):
    parser = option_parser(__doc__, "pruning.png")
    parser.add_argument("--seeds", type=int, help=f"how many with the prior {CONCENTRATION}")
    parser.add_argument("--rows", type=int, help="of each data set")
    options = parser.parse_args(arguments)
    budget = BUDGETS[options.budget]
    budget = replace(budget, n_rows=options.rows or budget.n_rows)
    runs = [(None, 0), *((CONCENTRATION, seed) for seed in range(options.seeds or budget.n_seeds))]
    runs += [(value, seed) for value in OTHER_CONCENTRATIONS for seed in range(budget.n_seeds_of_others)]
    figure, axes = panels(1, 2)
    for i, (concentration, seed) in enumerate(runs):
        model, X, row = fit_row(concentration, seed, budget)
        print_table(COLUMNS, [row], header=i == 0)
        if i < 2:
            title = f"prior {concentration}: {model.n_components_} components"
            draw_clusters(axes[0, i], X, model.labels_, title, model)
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
