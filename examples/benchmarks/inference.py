"""Posteriors of log-densities whose integral is known: bound, error of the evidence, Pareto shape, seconds
of the processor.

With `--peers`, as many as are installed of normflows' reverse divergence and numpyro's AutoNormal,
AutoMultivariateNormal and AutoIAFNormal, in the same process, with so many steps of as many draws. Of the logistic
regression the integral is taken to be what our own weights say.

    python examples/benchmarks/inference.py [name ...] [--seeds 2] [--peers] [--steps 2000]
"""

import argparse
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from inference_peers import PEERS
from jax_densities import JAX_DENSITIES
from log_densities import (
    BOUNDS_OF_BETA_AND_GAMMA,
    BOUNDS_OF_CUT_NORMAL,
    banana,
    beta_and_gamma,
    correlated_student,
    cut_normal,
    energy,
    funnel,
    gaussian,
    in_the_plane,
    logistic_regression,
    modes,
    random_modes,
    ring,
    scales,
    student,
    tilted_modes,
    turned_funnel,
    two_rings,
)

from skflowmix import FlowMixturePosterior
from skflowmix.inference.importance import evidence, pareto_smoothed

N_DRAWS = 512
CORNERS = [[-15, -15], [15, -15], [-15, 15], [15, 15]]
GRID = [[x, y] for x in (-10, 0, 10) for y in (-10, 0, 10)]
TARGETS = {
    "gaussian 50": lambda: gaussian(50),
    "banana": lambda: in_the_plane(banana, 50),
    "ring": lambda: in_the_plane(ring, 8),
    "four modes": lambda: modes(CORNERS, [0.1, 0.2, 0.3, 0.4], [1] * 4),
    "funnel 10": funnel,
    "student 20": lambda: student(20, 5),
    "logistic": logistic_regression,
    **{f"energy U{n}": partial(lambda n: in_the_plane(partial(energy, number=n), 6), n) for n in range(1, 5)},
    "nine modes": lambda: modes(GRID, [1] * 9, [1] * 9),
    "five modes 20": random_modes,
    "thin ring": lambda: in_the_plane(partial(ring, radius=10, width=0.2), 13),
    "scales": scales,
    "cauchy 2": lambda: student(2, 1),
    "narrow and wide": lambda: modes([[0, 0], [6, 6]], [0.5, 0.5], [1, 0.05]),
    "tilted modes 5": tilted_modes,
    "turned funnel 6": turned_funnel,
    "correlated student 10": correlated_student,
    "two rings": lambda: in_the_plane(two_rings, 14),
    "cut normal 4": cut_normal,
    "beta and gamma 6": beta_and_gamma,
}
BOUNDS = {"cut normal 4": BOUNDS_OF_CUT_NORMAL, "beta and gamma 6": BOUNDS_OF_BETA_AND_GAMMA}


def show(name, method, elbo, log_evidence, pareto_k, truth, seconds):
    error = f"{log_evidence - truth:+.3f} | {elbo - truth:+.4f}"
    print(f"| {name} | {method} | {error} | {pareto_k:.2f} | {seconds:.0f} |", flush=True)


def show_peer(name, method, fit, target, truth, n_steps, seed):
    log_density, n_features = target
    start = time.process_time()
    try:
        log_p, log_q = fit(log_density, JAX_DENSITIES[name], n_features, n_steps, N_DRAWS, seed)
    except ImportError as error:
        print(f"{method} is left out: {error}", file=sys.stderr)
        return
    seconds = time.process_time() - start
    log_weight = np.asarray(log_p, float) - np.asarray(log_q, float)
    smooth, k = pareto_smoothed(log_weight)
    show(name, method, log_weight.mean(), evidence(smooth)[0], k, truth, seconds)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(TARGETS), metavar="name")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--steps", type=int, default=2000, help="of the peers")
    parser.add_argument("--max-iter", type=int, default=200, help="of ours, 25 steps each")
    options = parser.parse_args(arguments)
    print("| target | method | error of log Z | ELBO - log Z | Pareto k | CPU seconds |\n|---|---|--:|--:|--:|--:|")
    for name in options.names:
        log_density, n_features, truth = TARGETS[name]()
        for seed in range(options.seeds):
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                how = {"bounds": BOUNDS.get(name), "max_iter": options.max_iter, "random_state": seed}
                ours = FlowMixturePosterior(**how).fit(log_density, n_features)
            seconds = time.process_time() - start
            log_z = ours.log_evidence_ if truth is None else truth
            method = f"flows, K = {ours.n_components_}"
            show(name, method, ours.elbo_, ours.log_evidence_, ours.pareto_k_, log_z, seconds)
            for peer, fit in PEERS.items() if options.peers and name in JAX_DENSITIES else ():
                show_peer(name, peer, fit, (log_density, n_features), log_z, options.steps, seed)


if __name__ == "__main__":
    main()
