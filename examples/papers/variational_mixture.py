"""Variational mixture of normalizing flows (Pires and Figueiredo, 2020, arXiv:2009.00585), its experiments repeated.

Three data sets: a pinwheel of 5 wings (2,560 rows), two circles (1,024 rows; without labels, and with 64), and images
of the digits 0 to 4. With --mnist PATH these are MNIST's (an .npz file with X of shape (N, 784), y, n_train), without
it the 8 x 8 digits that scikit-learn ships; either way as principal components, see `comparison.digits`. There the
mixture was trained with an amortized posterior. Here stand beside it the exact posterior, by gradient and by two
kinds of expectation-maximisation; the start that all of them have; and k-means. Parameters are defaults, but the
digits have RealNVP flows: one of the two kinds in the paper, and much faster than the default with many features.

All scores are those of rows that were not fitted; of the start, whose partition is of fitted rows alone, by the
five nearest of them. Means over seeds, each with its own rows, and the lowest accuracy. The start is found once
for all fits of the same rows, and its seconds are not among theirs.

    python examples/papers/variational_mixture.py [--mnist PATH] [--sets digits] [--methods exact amortized]
        [--seeds 5] [--flow realnvp] [--budget small] [--output variational_mixture.png]
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
from comparison import cluster_accuracy, digits, draw_clusters, option_parser, panels, print_table, timed_fit
from sklearn.cluster import KMeans
from sklearn.datasets import make_circles
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from toy_data import make_pinwheel

from skflowmix import FlowMixtureClustering
from skflowmix.fitting import INITIALIZERS

COLUMNS = ("data", "method", "accuracy", "lowest", "adj. Rand", "NMI", "ELBO, nats a row", "seconds")
PUBLISHED = {
    "amortized, published (MNIST)": (0.757, 0.559, 0.660),
    "k-means, published (MNIST)": (0.881, 0.733, 0.710),
}
FLOWS = {
    "amortized": {"posterior": "amortized"},
    "exact": {},
    "em": {"solver": "em"},
    "hard-em": {"solver": "hard-em"},
}
_N_LABELS = 64


@dataclass(frozen=True)
class Budget:
    """Sizes of a run: seeds, divisor of the toy data's rows, rows of digits, parameters of the flow mixtures."""

    n_seeds: int
    divisor: int
    n_digits: int
    parameters: dict = field(default_factory=dict)


BUDGETS = {
    "small": Budget(1, 8, 200, {"max_iter": 4, "n_layers": 2, "hidden_layer_sizes": (8,)}),
    "full": Budget(5, 1, 5000),
}


def pinwheel(budget, seed, mnist):
    n_rows = 2560 // budget.divisor
    return *make_pinwheel(n_rows, random_state=seed), *make_pinwheel(n_rows, random_state=1000 + seed)


def circles(budget, seed, mnist):
    shape = {"n_samples": 1024 // budget.divisor, "factor": 0.5, "noise": 0.05}
    return *make_circles(**shape, random_state=seed), *make_circles(**shape, random_state=1000 + seed)


def digits_0_to_4(budget, seed, mnist):
    return digits(mnist, n_rows=budget.n_digits, seed=seed)


SETS = {"pinwheel": pinwheel, "circles": circles, "circles, 64 labels": circles, "digits": digits_0_to_4}


class SharedStart:
    """What `init_params="auto"` finds, found once for all fits of the same rows."""

    def __init__(self):
        self.resp = None

    def __call__(self, X, n_components, weight, random_state):
        if self.resp is None:
            self.resp = INITIALIZERS["auto"](X, n_components, weight, random_state)
        return self.resp


class StartAlone:
    """The partition of a start, carried to other rows by their neighbours."""

    def __init__(self, n_clusters, start, random_state):
        self.n_clusters, self.start, self.random_state = n_clusters, start, random_state

    def fit(self, X, y=None):
        self.scaler_ = StandardScaler().fit(X)
        X = self.scaler_.transform(np.unique(X, axis=0))
        resp = self.start(X, self.n_clusters, np.ones(len(X)), np.random.RandomState(self.random_state))
        self.neighbors_ = KNeighborsClassifier(5).fit(X, resp.argmax(1))
        return self

    def predict(self, X):
        return self.neighbors_.predict(self.scaler_.transform(X))


def models(chosen, n_clusters, seed, parameters, with_labels):
    """{method: model to fit}; with labels only those that can use them."""
    start = SharedStart()
    parameters = {"init_params": start, "random_state": seed, **parameters}
    flows = {name: FlowMixtureClustering(n_clusters, **FLOWS[name], **parameters) for name in chosen}
    if with_labels:
        return flows
    others = {
        "k-means": KMeans(n_clusters, n_init=10, random_state=seed),
        "start alone": StartAlone(n_clusters, start, seed),
    }
    return {**others, **flows}


def compare(name, methods, budget, seed, *, mnist=None, flow="realnvp"):
    """{method: (model, accuracy, adjusted Rand, mutual information, ELBO, seconds)} of one seed, and its new rows."""
    X, y, X_new, y_new = SETS[name](budget, seed, mnist)
    with_labels = "labels" in name
    known = np.where(np.arange(len(y)) < _N_LABELS, y, -1) if with_labels else None
    parameters = {**budget.parameters, **({"flow": flow} if name == "digits" else {})}
    results = {}
    for method, model in models(methods, len(np.unique(y)), seed, parameters, with_labels).items():
        model, seconds = timed_fit(model, X, known)
        labels = model.predict(X_new)
        bound = model.elbo(X_new).mean() if hasattr(model, "elbo") else np.nan
        scores = cluster_accuracy(y_new, labels), adjusted_rand_score(y_new, labels)
        results[method] = model, *scores, normalized_mutual_info_score(y_new, labels), bound, seconds
    return results, X_new


def table_rows(name, runs):
    """Rows of the table from the results of all seeds."""
    for method in runs[0]:
        scores = np.array([run[method][1:] for run in runs])
        accuracy, *rest = scores.mean(0)
        yield [name, method, accuracy, scores[:, 0].min(), *("" if np.isnan(value) else value for value in rest)]
    if name == "digits":
        for method, (accuracy, rand, information) in PUBLISHED.items():
            yield [name, method, accuracy, "", rand, information, "", ""]


def draw(axes, name, methods, results, X):
    """The clusters of each flow mixture, of the digits in their first two components."""
    for axis, method in zip(axes, methods, strict=True):
        model = results[method][0]
        draw_clusters(axis, X, model.predict(X), f"{name}: {method}", model if X.shape[1] == 2 else None)


def main(arguments=None):
    parser = option_parser(__doc__, "variational_mixture.png")
    parser.add_argument("--mnist", help=".npz file of MNIST; without it scikit-learn's digits")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=FLOWS, default=list(FLOWS))
    parser.add_argument("--seeds", type=int, help="how many")
    parser.add_argument("--flow", default="realnvp", help="of the digits' mixtures")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", RuntimeWarning)
    budget = BUDGETS[options.budget]
    figure, axes = panels(len(options.sets), len(options.methods))
    for i, name in enumerate(options.sets):
        runs = []
        for seed in range(options.seeds or budget.n_seeds):
            given = {"mnist": options.mnist, "flow": options.flow}
            results, X = compare(name, options.methods, budget, seed, **given)
            if seed == 0:
                draw(axes[i], name, options.methods, results, X)
            runs.append(results)
        print_table(COLUMNS, table_rows(name, runs), header=i == 0)
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
