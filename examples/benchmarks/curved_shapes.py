"""Adjusted Rand index of default fits on two-dimensional shapes, seed by seed.

With `--background` there are so many uniform rows for each row of a cluster, over the box of all; they are fitted and
not scored.

    python examples/benchmarks/curved_shapes.py [--seeds 10] [--estimator gmm] [--background 0.05]
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skflowmix import FlowMixtureClustering

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from toy_data import make_pinwheel, make_spirals


def _slanted_blobs(seed):
    X, y = make_blobs(1000, centers=[(-6, -3), (0, 5), (6, -3)], random_state=seed)
    return X @ [[0.6, -0.6], [-0.4, 0.8]], y


def _unequal_blobs(seed):
    return make_blobs(1000, centers=[(-8, 0), (0, 8), (7, -2)], cluster_std=[1.0, 2.0, 0.5], random_state=seed)


SHAPES = {
    "moons": lambda seed: make_moons(1000, noise=0.07, random_state=seed),
    "circles": lambda seed: make_circles(1000, factor=0.5, noise=0.05, random_state=seed),
    "slanted blobs": _slanted_blobs,
    "unequal blobs": _unequal_blobs,
    "pinwheel": lambda seed: make_pinwheel(1000, random_state=seed),
    "spirals": lambda seed: make_spirals(1000, noise=0.3, random_state=seed),
}
CLUSTERERS = {
    "flows": lambda k, seed: FlowMixtureClustering(k, random_state=seed),
    "gmm": lambda k, seed: GaussianMixture(k, n_init=3, random_state=seed),
}


def with_background(X, share, seed):
    """The rows, and after them uniform ones."""
    uniform = np.random.RandomState(seed).uniform(X.min(0), X.max(0), (round(share * len(X)), X.shape[1]))
    return np.vstack([X, uniform])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--estimator", choices=CLUSTERERS, default="flows")
    parser.add_argument("--background", type=float, default=0.0)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for shape, make in SHAPES.items():
        start, scores = time.perf_counter(), []
        for seed in range(args.seeds):
            X, y = make(seed)
            labels = CLUSTERERS[args.estimator](len(np.unique(y)), seed).fit_predict(
                with_background(X, args.background, seed)
            )
            scores.append(adjusted_rand_score(y, labels[: len(y)]))
        seconds = (time.perf_counter() - start) / args.seeds
        print(
            f"{shape:14} mean {np.mean(scores):.3f}  above .97: {np.sum(np.array(scores) > 0.97)} of {args.seeds}  "
            f"lowest {min(scores):.3f}  {seconds:.1f} s a fit",
            flush=True,
        )


if __name__ == "__main__":
    main()
