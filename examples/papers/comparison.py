"""What the experiments of this folder share: options, data sets of digits, scores, tables and pictures."""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics.cluster import contingency_matrix

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_VARIANCE_KEPT = 0.75


def option_parser(description, picture):
    """A parser of the options that every experiment has.

    Parameters
    ----------
    description : str
    picture : str
        Default path of the picture.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", choices=("small", "full"), default="full", help="small only shows that it runs")
    parser.add_argument("--output", default=picture, help="where to draw the picture")
    return parser


def digits(mnist=None, *, n_rows=None, seed=0):
    """Images of the digits 0 to 4 as principal components, the fewest that keep three quarters of the variance.

    Three quarters because a component of noise counts as much as one of shape once features are standardised.

    Parameters
    ----------
    mnist : str, default=None
        Path of an .npz file with X of shape (N, 784), y, and n_train, how many rows from the first on are to be
        fitted. None takes the small digits that scikit-learn ships, three tenths of them held out.
    n_rows : int, default=None
        How many rows to fit, drawn at random. None takes all.
    seed : int, default=0

    Returns
    -------
    X, y, X_new, y_new : ndarrays
        Rows to fit, and rows held out.
    """
    if mnist is None:
        X, y = load_digits(return_X_y=True)
        is_new = np.random.default_rng(0).uniform(size=len(X)) < 0.3
    else:
        archive = np.load(mnist)
        X, y = archive["X"], archive["y"]
        is_new = np.arange(len(X)) >= archive["n_train"]
    rows = np.flatnonzero(~is_new & (y < 5))
    chosen = np.random.default_rng(seed).permutation(rows)[:n_rows]
    held_out = np.flatnonzero(is_new & (y < 5))
    X_chosen, X_new = X[chosen].astype(float), X[held_out].astype(float)
    reduce = PCA(_VARIANCE_KEPT, svd_solver="full").fit(X_chosen)
    return reduce.transform(X_chosen), y[chosen], reduce.transform(X_new), y[held_out]


def all_digits(mnist=None, *, n_rows=None, seed=0):
    """Images of all ten digits, pixels between 0 and 1; parameters and returned rows as of `digits`.

    Without `n_rows` the rows to fit keep the archive's order, which indices of labelled rows refer to.
    """
    if mnist is None:
        X, y = load_digits(return_X_y=True)
        is_new, largest = np.random.default_rng(0).uniform(size=len(X)) < 0.3, 16
    else:
        archive = np.load(mnist)
        X, y = archive["X"], archive["y"].astype(int)
        is_new, largest = np.arange(len(X)) >= archive["n_train"], 255
    rows = np.flatnonzero(~is_new)
    chosen = rows if n_rows is None else np.random.default_rng(seed).permutation(rows)[:n_rows]
    X = X.astype(np.float32) / largest
    return X[chosen], y[chosen], X[is_new], y[is_new]


def cluster_accuracy(y, labels):
    """Share of the rows whose cluster stands for their class, with the best one-to-one matching of the two."""
    counts = contingency_matrix(y, labels)
    return counts[linear_sum_assignment(counts, maximize=True)].sum() / len(y)


def timed_fit(model, X, y=None):
    """The model, fitted, and the seconds that it took; a fit that ended at `max_iter` is taken as it is."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    return model, time.perf_counter() - start


def print_table(columns, rows, *, header=True):
    """Print rows as a Markdown table: words as they are, whole numbers as such, other numbers with three decimals."""
    if header:
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        cells = [f"{cell:.3f}" if isinstance(cell, (float, np.floating)) else str(cell) for cell in row]
        print(f"| {' | '.join(cells)} |", flush=True)


def panels(n_rows, n_columns):
    """A figure without a window, and its axes as an array of shape (n_rows, n_columns)."""
    figure = Figure(figsize=(2.7 * n_columns, 2.8 * n_rows), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False)


def _grid(X, size=120):
    low, high = X.min(0) - 0.5, X.max(0) + 0.5
    first, second = np.meshgrid(*(np.linspace(a, b, size) for a, b in zip(low, high, strict=True)))
    return first, second, np.column_stack([first.ravel(), second.ravel()])


def draw_density(axis, model, X, title):
    """The density of a model of two features where X lies."""
    first, second, points = _grid(X)
    density = np.exp(model.score_samples(points)).reshape(first.shape)
    axis.pcolormesh(first, second, density, vmax=np.quantile(density, 0.995), cmap="viridis", rasterized=True)
    axis.set(title=title, xticks=[], yticks=[])


def draw_clusters(axis, X, labels, title, model=None):
    """Rows coloured by cluster, over the logarithm of a model's density where there is one."""
    if model is not None:
        first, second, points = _grid(X)
        log_density = model.score_samples(points)
        levels = np.linspace(np.quantile(log_density, 0.3), log_density.max(), 15)
        axis.contourf(first, second, log_density.reshape(first.shape), levels, cmap="Greys", alpha=0.7)
    axis.scatter(X[:, 0], X[:, 1], c=labels, s=3, cmap="tab20", vmin=0, vmax=19)
    axis.set(title=title, xticks=[], yticks=[])
