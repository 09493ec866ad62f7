"""The three solvers on the same training rows: clusters, held-out log-likelihood, and seconds of one core.

python examples/benchmarks/solvers.py [--seeds 2]
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris, load_wine, make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale

from skflowmix import FlowMixtureClustering

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from toy_data import make_pinwheel

DATA = {
    "moons": lambda seed: make_moons(1000, noise=0.07, random_state=seed),
    "circles": lambda seed: make_circles(1000, factor=0.5, noise=0.05, random_state=seed),
    "iris": lambda seed: load_iris(return_X_y=True),
    "wine": lambda seed: load_wine(return_X_y=True),
    "pinwheel": lambda seed: make_pinwheel(1000, random_state=seed),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, make in DATA.items():
        for solver in ("gradient", "em", "hard-em"):
            results = []
            for seed in range(args.seeds):
                X, y = make(seed)
                X, X_new, y, y_new = train_test_split(scale(X), y, test_size=0.3, stratify=y, random_state=seed)
                start = time.process_time()
                model = FlowMixtureClustering(len(np.unique(y)), solver=solver, random_state=seed).fit(X)
                seconds = time.process_time() - start
                rand = adjusted_rand_score(y_new, model.predict(X_new))
                results.append((rand, model.score(X_new), seconds, model.n_iter_))
            rand, score, seconds, n_iter = np.mean(results, 0)
            print(
                f"{name:9} {solver:9} held out: Rand {rand:.3f}, log-likelihood {score:.3f}; "
                f"{seconds:.1f} s, {n_iter:.0f} iterations",
                flush=True,
            )


if __name__ == "__main__":
    main()
