"""Noise in weights: Kingma, Salimans and Welling (2015, arXiv:1506.02557); Table 1, which is the thesis's Table 6.1.

Networks of three hidden layers tell digits apart. The first part has the variance of a batch's gradient, the mean over
weights of the first and the last layer, when the noise of the weights is drawn in four ways: outputs given inputs (the
local reparameterisation), weights for each row, weights once for a batch, and no noise, which leaves the choice of the
rows. The network has variational dropout, and has been trained for few and for many epochs. The second part has errors
on digits that were not fitted, without dropout, with Gaussian and with variational dropout, by the layers' width.

    python examples/papers/weight_noise.py [--parts gradients errors] [--mnist PATH] [--budget small]
"""

import time
from dataclasses import dataclass

import numpy as np
import torch
from comparison import all_digits, option_parser, panels, print_table
from torch.nn.functional import cross_entropy, linear

from skflowmix.modules.dense import Dense, Perceptron
from skflowmix.modules.weight_noise import noisy_linear, seed_weight_noise, weight_divergence
from skflowmix.training import PairBatches, Pairs, TrainingOptions, train

PARTS = ("gradients", "errors")
GRADIENT_COLUMNS = ("noise drawn for", "last, early", "first, early", "last, late", "first, late", "ms a gradient")
ERROR_COLUMNS = ("dropout", "units", "error, %", "lowest", "highest", "seconds")
DROPOUT = {"none": None, "Gaussian": 0.3, "variational": "variational"}
N_HIDDEN_LAYERS = 3
BATCH_SIZE = 100


@dataclass(frozen=True)
class Budget:
    """Sizes of a run: rows, epochs (few and many), gradients for a variance, widths, and fits of each."""

    n_rows: int
    epochs: tuple
    n_gradients: int
    widths: tuple
    n_fits: int


BUDGETS = {
    "small": Budget(300, (1, 2), 5, (10,), 1),
    "full": Budget(1000, (10, 100), 50, (25, 50, 100), 3),
}


class Classifier(torch.nn.Module):
    """Perceptron of equally wide layers, whose outputs are logits of the digits."""

    n_restarts = n_components = 1

    def __init__(self, n_inputs, width, dropout, seed=0):
        super().__init__()
        make = Dense if dropout is None else noisy_linear(dropout)
        generator = torch.Generator().manual_seed(seed)
        sizes = n_inputs, (width,) * N_HIDDEN_LAYERS, 10
        self.network = Perceptron(*sizes, activation="relu", make_linear=make, generator=generator)
        seed_weight_noise(self.network, generator)

    def logits(self, x, evaluate):
        """Logits when each layer's outputs are ``evaluate(layer, inputs)``."""
        *hidden, last = self.network.layers
        for layer in hidden:
            x = evaluate(layer, x).relu()
        return evaluate(last, x)


@dataclass(frozen=True)
class CrossEntropy:
    """Minus the log-probability of each row's digit, and its share of the divergence of the weights."""

    n_rows: int
    is_scored_in_full = True

    def __call__(self, model, pairs, progress=1.0):
        logits = model.network(pairs.context)
        loss = cross_entropy(logits, pairs.theta.argmax(1), reduction="none")
        return (loss + weight_divergence(model) / self.n_rows)[None]


def of_outputs(layer, x):
    return layer(x)


def of_weights_for_each_row(layer, x):
    weight = _noisy_weights(layer, len(x))
    return torch.einsum("nji,ni->nj", weight, x) + layer.bias


def of_weights_once(layer, x):
    return linear(x, _noisy_weights(layer, 1).squeeze(0), layer.bias.squeeze(0))


def of_nothing(layer, x):
    return layer.moments(x)[0]


def _noisy_weights(layer, n_draws):
    noise = torch.randn(n_draws, *layer.weight.shape[1:], generator=layer.noise_generator)
    return layer.weight * (1 + layer.ratio().sqrt() * noise)


ESTIMATORS = {
    "outputs": of_outputs,
    "weights, each row": of_weights_for_each_row,
    "weights, each batch": of_weights_once,
    "nothing": of_nothing,
}


def gradient_variance(model, pairs, evaluate, n_gradients):
    """Variance of a batch's gradient, the mean over weights of the last and the first layer, and seconds of each."""
    generator = torch.Generator().manual_seed(0)
    layers = model.network.layers
    gradients, start = [], time.perf_counter()
    for _ in range(n_gradients):
        rows = pairs[torch.randint(len(pairs), (BATCH_SIZE,), generator=generator)]
        loss = cross_entropy(model.logits(rows.context, evaluate), rows.theta.argmax(1))
        gradients.append(torch.autograd.grad(loss, (layers[-1].weight, layers[0].weight)))
    seconds = (time.perf_counter() - start) / n_gradients
    return *(float(torch.stack(of_layer).var(0).mean()) for of_layer in zip(*gradients, strict=True)), seconds


def fit(model, rows, validation, max_iter, seed=0):
    """Train a network, to the best state on held-out rows if there are any."""
    source = PairBatches(rows, BATCH_SIZE, torch.Generator().manual_seed(seed))
    options = TrainingOptions(max_iter=max_iter, learning_rate=1e-3, n_iter_no_change=max_iter)
    train(model, source, options, objective=CrossEntropy(len(rows)), validation=validation)
    return model


def as_pairs(X, y):
    return Pairs(torch.eye(10)[torch.as_tensor(y).long()], torch.as_tensor(X, dtype=torch.float32))


def compare_gradients(budget, rows, axis):
    """One row for each way to draw noise."""
    results, seconds = {name: [] for name in ESTIMATORS}, {}
    for max_iter in budget.epochs:
        model = fit(Classifier(rows.context.shape[1], max(budget.widths), "variational"), rows, None, max_iter).train()
        for name, evaluate in ESTIMATORS.items():
            *variances, seconds[name] = gradient_variance(model, rows, evaluate, budget.n_gradients)
            results[name] += variances
    table = [[name, *(f"{variance:.2e}" for variance in results[name]), 1e3 * seconds[name]] for name in ESTIMATORS]
    print_table(GRADIENT_COLUMNS, table)
    for name, variances in results.items():
        axis.semilogy(GRADIENT_COLUMNS[1:-1], variances, "o-", label=name)
    axis.set_ylabel("variance of a batch's gradient")
    axis.legend()


def compare_errors(budget, rows, held_out, new, axis):
    """One row for each dropout and width."""
    for i, (name, dropout) in enumerate(DROPOUT.items()):
        means = []
        for j, width in enumerate(budget.widths):
            errors, start = [], time.perf_counter()
            for seed in range(budget.n_fits):
                model = fit(Classifier(rows.context.shape[1], width, dropout, seed), rows, held_out, max(budget.epochs))
                with torch.no_grad():
                    found = model.network(new.context).argmax(1)
                errors.append(100 * float((found != new.theta.argmax(1)).double().mean()))
            seconds = (time.perf_counter() - start) / budget.n_fits
            means.append(np.mean(errors))
            row = [name, width, means[-1], min(errors), max(errors), seconds]
            print_table(ERROR_COLUMNS, [row], header=i == j == 0)
        axis.plot(budget.widths, means, "o-", label=name)
    axis.set(xlabel="units of a layer", ylabel="error, %")
    axis.legend()


def main(arguments=None):
    parser = option_parser(__doc__, "weight_noise.png")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--mnist", help="archive with X, y and n_train; without it the digits that scikit-learn ships")
    options = parser.parse_args(arguments)
    budget = BUDGETS[options.budget]
    X, y, X_new, y_new = all_digits(options.mnist, n_rows=budget.n_rows)
    n_held_out = len(X) // 5
    rows, held_out = as_pairs(X[n_held_out:], y[n_held_out:]), as_pairs(X[:n_held_out], y[:n_held_out])
    new = as_pairs(X_new, y_new)
    figure, axes = panels(1, len(options.parts))
    for part, axis in zip(options.parts, axes[0], strict=True):
        if part == "gradients":
            compare_gradients(budget, rows, axis)
        else:
            compare_errors(budget, rows, held_out, new, axis)
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
