"""How much of a density is where no rows are: on two-dimensional shapes, by draws and along lines that leave the rows.

A draw is astray where its nearest training row is farther away than three times that row's own spacing, the mean
distance to its five nearest neighbours. New rows of the shape itself are the least that there can be. The fall is by
how many nats the log-density drops, on average over 64 lines from the middle of the rows, between their last row and
half as far again.

    python examples/benchmarks/stray_mass.py [--seeds 3] [--n-estimators 1 4]
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from skflowmix import FlowMixtureDensity

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from toy_data import make_pinwheel, make_spirals

SHAPES = {
    "moons": lambda seed: make_moons(1000, noise=0.07, random_state=seed)[0],
    "circles": lambda seed: make_circles(1000, factor=0.5, noise=0.05, random_state=seed)[0],
    "pinwheel": lambda seed: make_pinwheel(1000, random_state=seed)[0],
    "spirals": lambda seed: make_spirals(1000, noise=0.3, random_state=seed)[0],
}
_FAR = 3.0


def share_astray(X, drawn):
    """Share of the draws whose nearest row is farther away than three times that row's spacing."""
    search = NearestNeighbors(n_neighbors=5).fit(X)
    spacing = search.kneighbors()[0].mean(1)
    distance, nearest = search.kneighbors(drawn, n_neighbors=1)
    return float((distance[:, 0] > _FAR * spacing[nearest[:, 0]]).mean())


def fall_outside(X, score_samples, n_lines=64):
    """Nats by which the log-density falls between the last row in a direction and half as far again."""
    centred = X - X.mean(0)
    angles = np.linspace(0, 2 * np.pi, n_lines, endpoint=False)
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    last = (centred @ directions.T).max(0)[:, None] * directions
    return float(np.mean(score_samples(X.mean(0) + last) - score_samples(X.mean(0) + 1.5 * last)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n-estimators", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--only", choices=SHAPES, nargs="+", default=list(SHAPES))
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    makers = {
        f"flows, {r} averaged": lambda seed, r=r: FlowMixtureDensity(n_estimators=r, random_state=seed)
        for r in args.n_estimators
    }
    makers["GaussianMixture(20)"] = lambda seed: GaussianMixture(20, random_state=seed)
    print("shape; per cent of new rows astray; then for each density that of its draws, held-out nats, fall, seconds")
    for shape in args.only:
        train, new = ([SHAPES[shape](seed + first) for seed in range(args.seeds)] for first in (0, 1000))
        print(f"{shape:9} {100 * np.mean([share_astray(*rows) for rows in zip(train, new, strict=True)]):.2f}")
        for name, make in makers.items():
            found, start = [], time.process_time()
            for seed, (X, X_new) in enumerate(zip(train, new, strict=True)):
                model = make(seed).fit(X)
                astray = 100 * share_astray(X, model.sample(20_000)[0])
                found.append((astray, model.score_samples(X_new).mean(), fall_outside(X, model.score_samples)))
            astray, nats, fall = np.mean(found, axis=0)
            seconds = (time.process_time() - start) / args.seeds
            print(f"    {name:20} {astray:5.2f} %  {nats:7.3f} nats  {fall:6.1f}  {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
