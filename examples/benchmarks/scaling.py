"""Seconds of CPU time against the number of rows and the number of restarts.

A fit with one iteration is the part that does not depend on how many there are: rows are sorted, neighbours found, a
start chosen, and all held-out rows scored. Rows are drawn from four normal clusters. Prints Markdown tables.

    OMP_NUM_THREADS=1 python examples/benchmarks/scaling.py [--rows 10000 100000 1000000] [--features 16]
        [--restarts 1 2 4 8] [--iterations 3]
"""

import argparse
import time
import warnings

from sklearn.datasets import make_blobs
from sklearn.exceptions import ConvergenceWarning

from skflowmix import FlowMixtureDensity

N_COMPONENTS = 4
N_ROWS_OF_RESTARTS = 1000


def seconds(action):
    start = time.process_time()
    action()
    return time.process_time() - start


def model(max_iter, **parameters):
    return FlowMixtureDensity(N_COMPONENTS, max_iter=max_iter, random_state=0, **parameters)


def draw(n_rows, n_features):
    return make_blobs(n_rows, n_features, centers=N_COMPONENTS, random_state=0)[0]


def fit_seconds(X, n_iterations, **parameters):
    """(seconds of a fit with one iteration, seconds of each further one)."""
    one = seconds(lambda: model(1, **parameters).fit(X))
    several = seconds(lambda: model(1 + n_iterations, **parameters).fit(X))
    return one, (several - one) / n_iterations


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--features", type=int, default=16)
    parser.add_argument("--restarts", nargs="*", type=int, default=[1, 2, 4, 8])
    parser.add_argument("--iterations", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    model(1).fit(draw(100, options.features))  # what is imported at the first fit
    if options.restarts:
        X = draw(N_ROWS_OF_RESTARTS, options.features)
        print(f"{len(X)} rows of {options.features} features, K={N_COMPONENTS}\n")
        print("| restarts | start and one iteration, s | each further iteration, s |\n|--:|--:|--:|")
        for n_init in options.restarts:
            one, further = fit_seconds(X, 10 * options.iterations, n_init=n_init, n_iter_no_change=10**6)
            print(f"| {n_init} | {one:.2f} | {further:.3f} |", flush=True)
    if options.rows:
        print(f"\n{options.features} features, K={N_COMPONENTS}\n")
        print(
            "| rows | fit with one iteration, s | each further iteration, s | score_samples, s | a row, microseconds |"
        )
        print("|--:|--:|--:|--:|--:|")
        for n_rows in options.rows:
            X = draw(n_rows, options.features)
            one, further = fit_seconds(X, options.iterations)
            fitted = model(1).fit(X[:10_000])
            scoring = seconds(lambda: fitted.score_samples(X))  # noqa: B023
            print(
                f"| {n_rows:,} | {one:.1f} | {further:.2f} | {scoring:.2f} | {1e6 * scoring / n_rows:.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
