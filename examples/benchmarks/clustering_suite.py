"""FlowMixtureClustering, the start that it chose, and published methods on the suite clustering-data (Gagolewski).

The suite's protocol: the true number of clusters of each reference labeling is given, noise points (label 0) are fitted
but not scored, and a data set's score is the best over its labelings. Defaults otherwise. FOLDER holds BATTERY/NAME.npz
with `X` and `y`, `y1`, ...; the published scores are a table with the columns battery, dataset, method and AR.

    python examples/benchmarks/clustering_suite.py FOLDER [--published scores.csv.gz] [--figure clusters.png] [--seed 0]

Prints a Markdown table; the figure shows our partitions of the sets in the plane.
"""

import argparse
import csv
import gzip
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score

from skflowmix import FlowMixtureClustering
from skflowmix.fitting import INITIALIZERS

METHODS = {
    "GaussianMixture": "sklearn_gm",
    "k-means": "sklearn_kmeans",
    "spectral": "sklearn_spectral_Alaplacian_G5",
    "HDBSCAN": "FCPS_HDBSCAN_4",
    "Genie": "Genie_G0.3",
}


def data_sets(folder):
    """Yields (battery, name, X, labelings), scaled as for the published scores."""
    for path in sorted(Path(folder).glob("*/*.npz")):
        arrays = np.load(path)
        X = arrays["X"].astype(float)
        X = X[:, X.var(axis=0) > 0]
        yield (
            path.parent.name,
            path.stem,
            (X - X.mean(0)) / X.std(),
            [arrays[k].astype(int) for k in arrays if k != "X"],
        )


def read_published(path):
    """Scores by (battery, data set, method)."""
    if path is None:
        return {}
    with gzip.open(path, "rt") as file:
        return {(r["battery"], r["dataset"], r["method"]): float(r["AR"] or "nan") for r in csv.DictReader(file)}


def cluster(X, n_clusters, seed):
    """(labels of the fit, labels of the start that it chose, seconds)."""
    starts = []

    def recorded(rows, n_components, weight, random_state):
        starts.append(INITIALIZERS["auto"](rows, n_components, weight, random_state))
        return starts[-1]

    begin = time.perf_counter()
    model = FlowMixtureClustering(n_clusters, init_params=recorded, random_state=seed).fit(X)
    seconds = time.perf_counter() - begin
    _, row = np.unique(X, axis=0, return_inverse=True)
    return model.labels_, starts[0].argmax(1)[row.ravel()], seconds


def score(labelings, X, seed):
    """Figures of the labeling with the best score."""
    results = []
    for y in labelings:
        fitted, started, seconds = cluster(X, y.max(), seed)
        scores = [adjusted_rand_score(y[y > 0], labels[y > 0]) for labels in (fitted, started)]
        results.append((*scores, seconds, fitted))
    best_fit = max(results, key=lambda result: result[0])
    return best_fit[0], max(start for _, start, *_ in results), sum(result[2] for result in results), best_fit[3]


def print_table(rows):
    names = ["flows", "start", *METHODS]
    print(f"| set | rows | features | {' | '.join(names)} | seconds |\n|---|{'--:|' * (len(names) + 3)}")
    for row in rows:
        cells = " | ".join(f"{row[name]:.3f}" for name in names)
        print(f"| {row['set']} | {row['n']} | {row['d']} | {cells} | {row['seconds']:.0f} |")
    for title, function in (("mean", np.mean), ("median", np.median)):
        cells = " | ".join(f"{function([row[name] for row in rows]):.3f}" for name in names)
        print(f"| **{title}** | | | {cells} | {function([row['seconds'] for row in rows]):.0f} |")
    for battery in dict.fromkeys(row["battery"] for row in rows):
        own = [row for row in rows if row["battery"] == battery]
        cells = " | ".join(f"{np.mean([row[name] for row in own]):.3f}" for name in names)
        print(f"| mean of {battery} | | | {cells} | |")


def draw(pictures, path):
    """The planar sets, coloured by our partitions."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    n_columns = 6
    n_rows = -(-len(pictures) // n_columns)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=(2 * n_columns, 2.15 * n_rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, (title, X, labels) in zip(axes.flat, pictures, strict=False):
        axis.scatter(*X.T, c=labels, s=1, cmap="tab20", linewidths=0)
        axis.set_title(title, fontsize=7)
        axis.set_aspect("equal")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--published")
    parser.add_argument("--figure")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-rows", type=int, default=12_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    published, rows, pictures = read_published(options.published), [], []
    for battery, name, X, labelings in data_sets(options.folder):
        if len(X) > options.max_rows:
            continue
        flows, start, seconds, labels = score(labelings, X, options.seed)
        scores = {title: published.get((battery, name, key), np.nan) for title, key in METHODS.items()}
        rows.append(
            {"set": f"{battery}/{name}", "battery": battery, "n": len(X), "d": X.shape[1], "seconds": seconds}
            | {"flows": flows, "start": start, **scores}
        )
        if X.shape[1] == 2:
            pictures.append((f"{name} {flows:.2f}", X, labels))
    print_table(rows)
    if options.figure:
        draw(pictures, options.figure)


if __name__ == "__main__":
    main()
