"""Digits from few labels: M1, M2 and both stacked (Kingma, Rezende, Mohamed and Welling, 2014, arXiv:1406.5298).

All training images are fitted, a few of them with a label, and the error is that on test images. The methods: a
variational autoencoder (M1) before a support vector machine of the labelled rows, and before a mixture of flows for
each class; the autoencoder of rows with classes (M2), and M1 before it, as published, without a graph of neighbours;
M1 + M2 as it is by default, with labels that spread along one; and the best that was found, M2 on principal components
of descriptors of the images (`images.py`), which is what `make_model` makes.

    python examples/papers/few_labels.py [--mnist PATH] [--labels 100] [--draws 3] [--methods M1+M2] [--budget small]
    python ssl_bench.py --make few_labels:make_model --labels 100
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from comparison import all_digits, option_parser, panels, print_table, timed_fit
from images import descriptors
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from skflowmix import FlowAutoencoder, FlowAutoencoderClassifier, FlowMixtureClassifier
from skflowmix.modules.dense import Perceptron
from skflowmix.modules.weight_noise import noisy_linear

COLUMNS = ("labels", "method", "error, %", "lowest", "highest", "seconds", "published")
PUBLISHED = {
    "M1 + SVC": {100: "11.82, TSVM", 600: "5.72, TSVM", 1000: "4.24, TSVM", 3000: "3.49, TSVM"},
    "M2": {100: "11.97", 600: "4.94", 1000: "3.60", 3000: "3.92"},
    "M1+M2": {100: "3.33 (semi-conditional flows 1.9)", 600: "2.59", 1000: "2.40", 3000: "2.18"},
}
N_COMPONENTS_OF_DESCRIPTORS = 80


@dataclass(frozen=True)
class Budget:
    """Rows to fit, latent features, units of hidden layers, and parameters of the fits of M1 and of M2."""

    n_rows: int | None
    n_latent: int
    n_units: int
    first: dict
    second: dict


_STEPS = {"batch_size": 256, "averaging": 0.999}
BUDGETS = {
    "small": Budget(300, 4, 32, *2 * ({"max_iter": 12, "learning_rate_init": 1e-2},)),
    "digits": Budget(None, 32, 128, {"max_iter": 150}, {"max_iter": 60, "averaging": 0.99, "learning_rate_init": 3e-3}),
    "mnist": Budget(None, 50, 500, {"max_iter": 30} | _STEPS, {"max_iter": 8} | _STEPS),
}


class OnLabelled(ClassifierMixin, BaseEstimator):
    """A classifier of the rows with a label alone.

    Parameters
    ----------
    classifier : estimator
    """

    def __init__(self, classifier):
        self.classifier = classifier

    def fit(self, X, y):
        known = np.asarray(y) != -1
        self.classifier_ = clone(self.classifier).fit(X[known], y[known])
        self.classes_ = self.classifier_.classes_
        return self

    def predict(self, X):
        return self.classifier_.predict(X)


def perceptron(n_inputs, n_outputs, n_units=500, rate=0.2):
    """A network of two rectified hidden layers, with Gaussian dropout."""
    sizes = n_inputs, (n_units, n_units), n_outputs
    return Perceptron(*sizes, activation="relu", make_linear=noisy_linear(rate))


def make_model(seed, budget=BUDGETS["mnist"]):
    """M2 on principal components of descriptors; `fit` takes brightness from 0 to 1, and -1 for no label."""
    second = FlowAutoencoderClassifier(
        budget.n_latent,
        hidden_layer_sizes=(min(budget.n_units, 128),),
        classifier=partial(perceptron, n_units=budget.n_units),
        random_state=seed,
        **budget.second,
    )
    n_components = min(N_COMPONENTS_OF_DESCRIPTORS, (budget.n_rows or 10**6) // 4)
    return make_pipeline(FunctionTransformer(descriptors), PCA(n_components, random_state=seed), second)


def first(budget, seed):
    """M1."""
    hidden = (budget.n_units, budget.n_units)
    return FlowAutoencoder(budget.n_latent, hidden_layer_sizes=hidden, random_state=seed, **budget.first)


def second(budget, seed, **parameters):
    """M2."""
    parameters = {"hidden_layer_sizes": (budget.n_units,)} | budget.second | parameters
    return FlowAutoencoderClassifier(budget.n_latent, random_state=seed, **parameters)


def densities(budget, seed):
    """A mixture of Gaussians for each class."""
    return FlowMixtureClassifier(4, flow="affine", random_state=seed, max_iter=budget.first["max_iter"])


METHODS = {
    "M1 + SVC": lambda budget, seed: make_pipeline(first(budget, seed), OnLabelled(SVC())),
    "M1 + FlowMixtureClassifier": lambda budget, seed: make_pipeline(first(budget, seed), densities(budget, seed)),
    "M2": lambda budget, seed: second(budget, seed, spreading_weight=0),
    "M1+M2": lambda budget, seed: make_pipeline(first(budget, seed), second(budget, seed, spreading_weight=0)),
    "M1+M2, spread": lambda budget, seed: make_pipeline(first(budget, seed), second(budget, seed)),
    "LabelSpreading": lambda budget, seed: LabelSpreading(kernel="knn"),
    "descriptors, M2": lambda budget, seed: make_model(seed, budget),
}


def draw_labels(y, n_labels, seed):
    """The labels of so many rows, as many of each class, and -1 for the others."""
    rng, partial_y = np.random.default_rng(seed), np.full(len(y), -1)
    for label in range(10):
        chosen = rng.permutation(np.flatnonzero(y == label))[: n_labels // 10]
        partial_y[chosen] = label
    return partial_y


def main(arguments=None):
    parser = option_parser(__doc__, "few_labels.png")
    parser.add_argument("--mnist", help="archive with X, y and n_train; without it the digits that scikit-learn ships")
    parser.add_argument("--labels", nargs="+", type=int, help="100 600 1000 3000, or 50 of the small digits")
    parser.add_argument("--draws", type=int, help="draws of the labels; 3, or 10 of the small digits")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args(arguments)
    small = options.mnist is None
    budget = BUDGETS["small" if options.budget == "small" else "digits" if small else "mnist"]
    n_draws = options.draws or (1 if options.budget == "small" else 10 if small else 3)
    counts = options.labels or ([50] if small else [100, 600, 1000, 3000])
    X, y, X_new, y_new = all_digits(options.mnist, n_rows=budget.n_rows)
    figure, axes = panels(1, 1)
    for i, name in enumerate(options.methods):
        means = []
        for j, n_labels in enumerate(counts):
            errors, seconds = [], []
            for seed in range(n_draws):
                model, taken = timed_fit(METHODS[name](budget, seed), X, draw_labels(y, n_labels, seed))
                errors.append(100 * np.mean(model.predict(X_new) != y_new))
                seconds.append(taken)
            means.append(np.mean(errors))
            published = "" if small else PUBLISHED.get(name, {}).get(n_labels, "")
            row = [n_labels, name, means[-1], min(errors), max(errors), np.mean(seconds), published]
            print_table(COLUMNS, [row], header=i == j == 0)
        axes[0, 0].loglog(counts, means, "o-", label=name)
    axes[0, 0].set(xlabel="labels", ylabel="test error, %")
    axes[0, 0].legend(fontsize="x-small")
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
