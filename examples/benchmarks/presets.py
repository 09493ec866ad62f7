"""Every preset on every data set: held-out log-likelihood, seconds for each iteration, parameters of a component.

On wines, moons and a pinwheel; with --data also on .npz files, which hold `X_train` and `X_test`, or `X` and `fold`, of
which fold 0 is then held out. Rows are standardised. Prints Markdown tables.

    python examples/benchmarks/presets.py [--data FILE ...] [--max-rows 5000] [--seeds 1] [--presets nsf maf]
        [--kw '{"device": "cuda"}'] [--matmul-precision highest]
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureDensity
from skflowmix.modules.flows import PRESETS

sys.path.insert(0, str(Path(__file__).parents[1]))
from toy_data import make_pinwheel


def shipped_data(seed):
    """Yields (name, number of components, training rows, held-out rows)."""
    moons = datasets.make_moons(1500, noise=0.07, random_state=seed)[0]
    pinwheel = make_pinwheel(2560, random_state=seed)[0]
    for name, n_components, X in (
        ("moons", 2, moons),
        ("pinwheel", 5, pinwheel),
        ("wine", 3, datasets.load_wine().data),
    ):
        yield name, n_components, *train_test_split(X, test_size=0.3, random_state=seed)


def file_data(path, max_rows, seed):
    """(name, number of components, training rows, held-out rows) of an .npz file."""
    arrays = np.load(path)
    if "fold" in arrays.files:
        train, test = arrays["X"][arrays["fold"] != 0], arrays["X"][arrays["fold"] == 0]
    else:
        train, test = arrays["X_train"], arrays["X_test"]
    chosen = np.random.default_rng(seed).permutation(len(train))[:max_rows]
    return Path(path).stem, 4, train[chosen].astype(float), test[:max_rows].astype(float)


def fit(preset, n_components, train, test, seed, parameters):
    """(held-out log-likelihood, seconds for each iteration, parameters of a component)."""
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    model = FlowMixtureDensity(n_components, flow=preset, random_state=seed, **parameters)
    resp = start(model, train, n_components, seed)
    begin = time.perf_counter()
    model.set_params(init_params=resp).fit(train)
    seconds = (time.perf_counter() - begin) / model.n_iter_
    n_parameters = sum(p.numel() for p in model.mixture_.flow.parameters()) // n_components
    return model.score(test), seconds, n_parameters


def start(model, train, n_components, seed):
    """The default first responsibilities, so that their time does not count as an iteration's."""
    one_step = model.__class__(n_components, flow="affine", max_iter=1, random_state=seed)
    return one_step.fit(train).predict_proba(train)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="*", default=[])
    parser.add_argument("--max-rows", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--kw", type=json.loads, default={})
    parser.add_argument("--matmul-precision", default="highest", choices=["highest", "high"])
    options = parser.parse_args()
    torch.set_float32_matmul_precision(options.matmul_precision)
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = {}
    for seed in range(options.seeds):
        sets = [*shipped_data(seed), *(file_data(path, options.max_rows, seed) for path in options.data)]
        for name, n_components, train, test in sets:
            for preset in options.presets:
                figures = fit(preset, n_components, train, test, seed, options.kw)
                results.setdefault((preset, name), []).append(figures)
                print(f"{name} {preset} seed {seed}: {figures}", file=sys.stderr, flush=True)
    names = list(dict.fromkeys(name for _, name in results))
    for title, column, form in (
        ("Held-out log-likelihood, nats per row", 0, "{:.3f}"),
        ("Seconds for each iteration", 1, "{:.3f}"),
        ("Parameters of a component", 2, "{:.0f}"),
    ):
        print(f"\n{title}\n\n| preset | {' | '.join(names)} |\n|---|{'--:|' * len(names)}")
        for preset in options.presets:
            means = [np.mean([figures[column] for figures in results[preset, name]]) for name in names]
            print(f"| {preset} | {' | '.join(form.format(value) for value in means)} |")


if __name__ == "__main__":
    main()
