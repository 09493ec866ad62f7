"""FlowMixture against GaussianMixture on data that scikit-learn ships and on curved toy shapes.

Prints a table (adjusted Rand index of the clustering, log-likelihood of held-out rows, seconds) and draws the
densities and assignments of the two-dimensional shapes to quickstart.png.

    python examples/quickstart.py [--output quickstart.png]
"""

import argparse
import time
import warnings

import matplotlib
import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris, load_wine, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from toy_data import make_pinwheel, make_spirals

from skflowmix import FlowMixtureClustering, FlowMixtureDensity
from skflowmix.displays import AssignmentDisplay, DensityDisplay

matplotlib.use("Agg")
import matplotlib.pyplot as plt

REAL = {
    "iris": load_iris(return_X_y=True),
    "wine": load_wine(return_X_y=True),
    "breast cancer": load_breast_cancer(return_X_y=True),
}
SHAPES = {
    "moons": make_moons(1000, noise=0.07, random_state=0),
    "circles": make_circles(1000, factor=0.5, noise=0.05, random_state=0),
    "pinwheel": make_pinwheel(1000, random_state=0),
    "spirals": make_spirals(1000, noise=0.3, random_state=0),
}


def gaussian(n_components):
    return GaussianMixture(n_components, n_init=3, random_state=0)


MODELS = {
    "GaussianMixture": (gaussian, gaussian),
    "FlowMixture": (
        lambda n_components: FlowMixtureClustering(n_components, random_state=0),
        lambda n_components: FlowMixtureDensity(n_components, random_state=0),
    ),
}


def compare(X, y):
    """{model: (fitted clusterer, adjusted Rand, held-out log-likelihood, seconds of the clustering)}."""
    X = StandardScaler().fit_transform(X)
    X_train, X_test = train_test_split(X, test_size=0.2, random_state=0)
    n_components = len(np.unique(y))
    results = {}
    for name, (make_clusterer, make_density) in MODELS.items():
        start = time.perf_counter()
        clusterer = make_clusterer(n_components)
        labels = clusterer.fit_predict(X)
        seconds = time.perf_counter() - start
        held_out = make_density(n_components).fit(X_train).score(X_test)
        results[name] = clusterer, adjusted_rand_score(y, labels), held_out, seconds
    return results


def draw(axis, model, X, title):
    """Rows coloured by cluster over contours of the density, within which there are known shares of the rows."""
    X = StandardScaler().fit_transform(X)
    DensityDisplay.from_estimator(model, X, grid_resolution=150, ax=axis)
    AssignmentDisplay.from_estimator(model, X, ax=axis, s=5)
    axis.set(title=title, xticks=[], yticks=[], xlabel="", ylabel="")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="quickstart.png", help="where to draw the picture")
    output = parser.parse_args().output
    warnings.simplefilter("ignore", ConvergenceWarning)

    print(f"{'':16}{'GaussianMixture':^32}{'FlowMixture':^32}")
    print(f"{'data':16}" + f"{'adj. Rand':>10}{'held-out':>11}{'seconds':>9}  " * 2)
    figure, axes = plt.subplots(2, len(SHAPES), figsize=(3 * len(SHAPES), 6.2), layout="constrained")
    column = 0
    for name, (X, y) in {**REAL, **SHAPES}.items():
        results = compare(X, y)
        print(f"{name:16}" + "".join(f"{r[1]:10.3f}{r[2]:11.3f}{r[3]:9.2f}  " for r in results.values()), flush=True)
        if name in SHAPES:
            for axis, (model, result) in zip(axes[:, column], results.items(), strict=True):
                draw(axis, result[0], X, f"{model}: {name}")
            column += 1
    print("held-out: mean log-likelihood of a fifth of the rows that the fit did not see, standardised, in nats")
    figure.savefig(output, dpi=110)
    print(f"wrote {output}")


if __name__ == "__main__":
    main()
