"""Accuracy on the rows without a label, with a few labels of each class, over draws of which rows these are.

Features are standardised. scikit-learn's digits, iris, wine and breast cancer, and, with --data, the tables of a folder
of .npz files with X and y.

python examples/benchmarks/few_labels.py [--labels 5] [--draws 10] [--only digits,wine] [--data FOLDER --tables a,b]
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC

from skflowmix import FlowMixtureClassifier


class LabelledRowsAlone(LogisticRegression):
    """Logistic regression that leaves out the rows without a label."""

    def fit(self, X, y):
        return super().fit(X[y >= 0], y[y >= 0])


MODELS = {
    "flows": lambda seed: FlowMixtureClassifier(random_state=seed),
    "LabelSpreading": lambda seed: LabelSpreading("knn", n_neighbors=10),
    "SelfTraining(SVC)": lambda seed: SelfTrainingClassifier(SVC(probability=True, random_state=seed)),
    "LogisticRegression": lambda seed: LabelledRowsAlone(max_iter=1000),
}
BUNDLED = {name: getattr(datasets, f"load_{name}") for name in ("digits", "iris", "wine", "breast_cancer")}


def read(name, folder):
    if name in BUNDLED:
        return BUNDLED[name](return_X_y=True)
    table = np.load(Path(folder) / f"{name}.npz")
    return table["X"].astype(float), np.unique(table["y"], return_inverse=True)[1]


def some_labels(y, n_labels, seed):
    rng, codes = np.random.RandomState(seed), np.full(len(y), -1)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(y == label))[:n_labels] for label in np.unique(y)])
    codes[chosen] = y[chosen]
    return codes


def accuracies(make, X, y, n_labels, draws):
    found = []
    for seed in draws:
        codes = some_labels(y, n_labels, seed)
        rest = codes < 0
        found.append(np.mean(make(seed).fit(X, codes).predict(X)[rest] == y[rest]))
    return np.array(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=5, help="of each class")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--only", default=",".join(BUNDLED))
    parser.add_argument("--data", default=".")
    parser.add_argument("--tables", default="")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"| set | {' | '.join(MODELS)} | flows less LabelSpreading, worst draw | CPU seconds a fit |")
    print("|---|" + "--:|" * (len(MODELS) + 2))
    for name in filter(None, f"{arguments.only},{arguments.tables}".split(",")):
        X, y = read(name, arguments.data)
        X = StandardScaler().fit_transform(X)
        draws, results = range(arguments.draws), {}
        for model, make in MODELS.items():
            start = time.process_time()
            results[model] = accuracies(make, X, y, arguments.labels, draws)
            if model == "flows":
                seconds = (time.process_time() - start) / len(draws)
        means = " | ".join(f"{found.mean():.3f}" for found in results.values())
        worst = (results["flows"] - results["LabelSpreading"]).min()
        print(f"| {name} | {means} | {worst:+.3f} | {seconds:.1f} |", flush=True)
