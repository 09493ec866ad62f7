"""FlowMixture against GaussianMixture: adjusted Rand index, held-out log-likelihood, and the ratio of fit times.

Without --data, on data sets that scikit-learn ships. With --data, on every .npz file of a folder: `X` with `y` (or
several labelings `y`, `y1`, ..., of which the best match counts), or `X` alone. True numbers of classes, or
--n-components where there are no labels. Features are standardised; four fifths of the rows are fitted and the
log-likelihood of the others is scored, the clustering is that of all rows. Prints a Markdown table.

    python examples/benchmarks/against_gaussian_mixture.py [--data FOLDER] [--seeds 3] [--max-rows 10000] [--kw JSON]
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureClustering, FlowMixtureDensity


def shipped_data():
    """Yields (name, X, labelings)."""
    for name in ("iris", "wine", "breast_cancer"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        yield name, X, [y]
    X, y = datasets.make_moons(1000, noise=0.07, random_state=0)
    yield "moons", X, [y]
    X, y = datasets.make_circles(1000, factor=0.5, noise=0.05, random_state=0)
    yield "circles", X, [y]


def folder_data(folder):
    """Yields (name, X, labelings) of the .npz files of a folder."""
    for path in sorted(Path(folder).glob("*.npz")):
        arrays = np.load(path)
        if "X" in arrays.files:
            yield path.stem, arrays["X"].astype(float), [arrays[k] for k in arrays.files if k.startswith("y")]


def fit_both(make_clusterer, make_density, X, labelings, seed):
    """(adjusted Rand, held-out log-likelihood, seconds of both fits)."""
    X_train, X_test = train_test_split(X, test_size=0.2, random_state=seed)
    start = time.perf_counter()
    labels = make_clusterer(seed).fit_predict(X)
    held_out = make_density(seed).fit(X_train).score(X_test)
    seconds = time.perf_counter() - start
    adjusted_rand = max((adjusted_rand_score(y, labels) for y in labelings), default=np.nan)
    return adjusted_rand, held_out, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of .npz files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-components", type=int, default=4, help="where there are no labels")
    parser.add_argument("--max-rows", type=int, default=10_000)
    parser.add_argument("--kw", type=json.loads, default={}, help="parameters of the flow mixtures, as JSON")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", RuntimeWarning)

    columns = "data | rows | features | K | adj. Rand GM | adj. Rand flows | held-out GM | held-out flows | time ratio"
    print(f"| {columns} |\n|" + "---|" * 9)
    for name, X, labelings in folder_data(args.data) if args.data else shipped_data():
        rows = np.random.default_rng(0).permutation(len(X))[: args.max_rows]
        X, labelings = X[rows], [y[rows] for y in labelings]
        X = StandardScaler().fit_transform(X[:, X.std(0) > 0])
        k = len(np.unique(labelings[0])) if labelings else args.n_components
        models = {
            "gaussian": [lambda seed, k=k: GaussianMixture(k, n_init=3, random_state=seed)] * 2,
            "flows": [
                lambda seed, k=k, cls=cls: cls(k, random_state=seed, **args.kw)
                for cls in (FlowMixtureClustering, FlowMixtureDensity)
            ],
        }
        gaussian, flows = (
            np.mean([fit_both(*make, X, labelings, seed) for seed in range(args.seeds)], axis=0)
            for make in models.values()
        )
        print(
            f"| {name} | {len(X)} | {X.shape[1]} | {k} | {gaussian[0]:.3f} | {flows[0]:.3f} "
            f"| {gaussian[1]:.3f} | {flows[1]:.3f} | {flows[2] / gaussian[2]:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
