"""Held-out log-likelihood of densities, in nats a row: flows, Gaussians, kernels, and one spline flow of zuko.

Each set's folds are fifths; features are standardised by the rows that are learned. GaussianMixture has the number of
components with the lowest BIC among 1 to 12, KernelDensity the bandwidth that cross-validation prefers, and the single
flow (`pip install zuko`; 5 splines, 64 x 64 units, Adam at 1e-3) stops 30 passes after its best held-out tenth. With
--data, on every .npz file of a folder that has an `X`. Prints a Markdown table of means and seconds a fit.

    python examples/benchmarks/densities.py [--data FOLDER] [--folds 5] [--max-rows 5000] [--kw JSON] [--only NAME ...]
"""

import argparse
import copy
import json
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KernelDensity

from skflowmix import FlowMixtureDensity

_PATIENCE, _MAX_PASSES = 30, 1000


def shipped_data():
    """Yields (name, X)."""
    for name in ("iris", "wine", "breast_cancer", "diabetes"):
        yield name, getattr(datasets, f"load_{name}")().data
    yield "moons", datasets.make_moons(1000, noise=0.07, random_state=0)[0]


def folder_data(folder):
    """Yields (name, X) of the .npz files of a folder."""
    for path in sorted(Path(folder).glob("*.npz")):
        arrays = np.load(path)
        if "X" in arrays.files:
            yield path.stem, arrays["X"].astype(float)


def gaussians_by_bic(X):
    most = min(12, len(X) // 2)
    fits = [GaussianMixture(k, max_iter=200, random_state=0).fit(X) for k in range(1, most + 1)]
    return min(fits, key=lambda fit: fit.bic(X)).score_samples


def kernels_by_cross_validation(X):
    search = GridSearchCV(KernelDensity(), {"bandwidth": np.logspace(-1.3, 0.5, 12)}, cv=3)
    return search.fit(X[:5000]).best_estimator_.score_samples


def one_flow_of_zuko(X):
    import zuko

    with torch.random.fork_rng():
        torch.manual_seed(0)
        rows = torch.as_tensor(X, dtype=torch.float32)[torch.randperm(len(X))]
        flow = zuko.flows.NSF(X.shape[1], transforms=5, hidden_features=(64, 64))
        held_out, learned = rows[: len(X) // 10], rows[len(X) // 10 :]
        adam, best, best_score, idle = torch.optim.Adam(flow.parameters(), lr=1e-3), None, -np.inf, 0
        for _ in range(_MAX_PASSES):
            for batch in learned[torch.randperm(len(learned))].split(256):
                loss = -flow().log_prob(batch).mean()
                adam.zero_grad()
                loss.backward()
                adam.step()
            with torch.no_grad():
                score = float(flow().log_prob(held_out).mean())
            idle += 1
            if score > best_score:
                best, best_score, idle = copy.deepcopy(flow.state_dict()), score, 0
            if idle == _PATIENCE:
                break
        flow.load_state_dict(best)

    @torch.no_grad()
    def score_samples(X):
        return flow().log_prob(torch.as_tensor(X, dtype=torch.float32)).numpy()

    return score_samples


def scores(fit, X, n_folds):
    """Mean log-density of the rows of each fold, and the mean of the fits' seconds."""
    found, start = [], time.perf_counter()
    for train, test in KFold(n_folds, shuffle=True, random_state=0).split(X):
        mean, scale = X[train].mean(0), X[train].std(0)
        found.append(fit((X[train] - mean) / scale)((X[test] - mean) / scale).mean())
    return found, (time.perf_counter() - start) / n_folds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of .npz files")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--max-rows", type=int, default=5000)
    parser.add_argument("--kw", type=json.loads, default={}, help="parameters of the flow mixtures, as JSON")
    parser.add_argument("--only", nargs="+", help="names of sets")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    methods = {
        "flows": lambda X: FlowMixtureDensity(random_state=0, **args.kw).fit(X).score_samples,
        "GaussianMixture (BIC)": gaussians_by_bic,
        "KernelDensity (CV)": kernels_by_cross_validation,
        "zuko, one NSF": one_flow_of_zuko,
    }
    print(f"| data | rows x features | {' | '.join(methods)} |\n|---|---|" + "--:|" * len(methods))
    for name, X in folder_data(args.data) if args.data else shipped_data():
        if args.only and name not in args.only:
            continue
        X = X[np.random.default_rng(0).permutation(len(X))[: args.max_rows]]
        X = X[:, X.std(0) > 0]
        cells = []
        for fit in methods.values():
            found, seconds = scores(fit, X, args.folds)
            cells.append(f"{np.mean(found):.2f}, {seconds:.1f} s")
        print(f"| {name} | {len(X)} x {X.shape[1]} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
