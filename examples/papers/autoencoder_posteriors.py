"""Posteriors of one autoencoder: Salimans, Kingma and Welling (2015, arXiv:1410.6460) and Kingma et al. (2016,
arXiv:1606.04934).

Zeros and ones drawn from images of digits, anew for every batch, are fitted with the same networks and for as many
epochs by a normal posterior with a diagonal or a full covariance, by planar maps, inverse autoregressive flows and
leapfrog steps behind the former. The bound is the mean over held-out images, drawn once, and the log-likelihood that by
importance weights; what is between them is the gap that a posterior leaves. Published figures are of MNIST: with
perceptrons -94.18 and -88.95 without leapfrog steps and -88.30 and -85.51 with eight; with residual networks -84.08 and
-81.08 for a normal posterior, -80.80 and -79.10 for an autoregressive one. Seconds are the processor's.

    python examples/papers/autoencoder_posteriors.py [--mnist mnist.npz] [--rows 60000] [--epochs 100]
        [--posteriors normal iaf] [--budget small] [--output autoencoder_posteriors.png]
"""

import time
import warnings
from dataclasses import dataclass

import numpy as np
from comparison import all_digits, option_parser, panels, print_table
from sklearn.exceptions import ConvergenceWarning

from skflowmix import FlowAutoencoder

COLUMNS = ("posterior", "steps", "bound", "log-likelihood", "gap", "seconds", "published")
CASES = (
    ("normal", 1),
    ("full", 1),
    ("planar", 4),
    ("iaf", 2),
    ("iaf", 4),
    ("iaf", 8),
    ("hamiltonian", 1),
    ("hamiltonian", 4),
    ("hamiltonian", 8),
)
PUBLISHED = {
    ("normal", 1): "-94.18 / -88.95",
    ("iaf", 8): "-80.80 / -79.10 (residual networks, normal -84.08 / -81.08)",
    ("hamiltonian", 1): "-91.70 / -88.08",
    ("hamiltonian", 4): "-89.82 / -86.40",
    ("hamiltonian", 8): "-88.30 / -85.51",
}


@dataclass(frozen=True)
class Budget:
    """Sizes of a run: rows of scikit-learn's digits, epochs, rows that are scored, draws of the likelihood."""

    n_rows: int
    n_epochs: int
    n_scored: int
    n_draws: int
    hidden_layer_sizes: tuple
    n_latent_features: int


BUDGETS = {
    "small": Budget(200, 1, 50, 10, (16,), 3),
    "full": Budget(1400, 200, 350, 500, (100, 100), 10),
    "mnist": Budget(60000, 100, 1000, 500, (500, 500), 50),
}


def images(mnist, n_rows, n_scored):
    """Images to fit, values from 0 to 1, and others as zeros and ones: ndarrays of shape (N, D)."""
    X, _, X_new, _ = all_digits(mnist, n_rows=n_rows)
    rng = np.random.default_rng(0)
    X_new = X_new[rng.permutation(len(X_new))[:n_scored]]
    return X, (rng.random(X_new.shape) < X_new).astype(float)


def fit(posterior, n_steps, X, budget, *, random_state=0):
    """A fitted autoencoder that has seen each row as often as any other, and the seconds."""
    model = FlowAutoencoder(
        budget.n_latent_features,
        likelihood="bernoulli",
        posterior=posterior,
        n_posterior_layers=n_steps,
        hidden_layer_sizes=budget.hidden_layer_sizes,
        max_iter=budget.n_epochs,
        n_iter_no_change=budget.n_epochs,
        random_state=random_state,
    )
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    return model, time.process_time() - start


def chosen_budget(options):
    """The budget that options ask for."""
    budget = BUDGETS["mnist" if options.mnist and options.budget == "full" else options.budget]
    changes = {"n_rows": options.rows, "n_epochs": options.epochs}
    return Budget(**vars(budget) | {name: value for name, value in changes.items() if value})


def draw(scores, path):
    """Bound and log-likelihood of each case, the gap between them a bar."""
    figure, axes = panels(1, 1)
    figure.set_size_inches(7, 0.45 * len(scores) + 1.2)
    axis = axes[0, 0]
    for place, (bound, log_likelihood) in enumerate(scores.values()):
        axis.plot([bound, log_likelihood], [place, place], "-", color="tab:grey", lw=4)
        axis.plot(bound, place, "o", color="tab:blue", label="bound" if place == 0 else None)
        axis.plot(log_likelihood, place, "o", color="tab:orange", label="log-likelihood" if place == 0 else None)
    names = [name if name in ("normal", "full") else f"{name}, {n_steps}" for name, n_steps in scores]
    axis.set(yticks=range(len(scores)), yticklabels=names, xlabel="nats an image, held out")
    axis.invert_yaxis()
    axis.legend()
    figure.savefig(path, dpi=80)


def main(arguments=None):
    parser = option_parser(__doc__, "autoencoder_posteriors.png")
    parser.add_argument("--mnist", help="an .npz file with X of shape (N, 784) and n_train")
    parser.add_argument("--rows", type=int, help="how many images to fit")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--posteriors", nargs="+", default=[name for name, _ in CASES])
    options = parser.parse_args(arguments)
    budget = chosen_budget(options)
    X, X_new = images(options.mnist, budget.n_rows, budget.n_scored)
    scores = {}
    for posterior, n_steps in (case for case in CASES if case[0] in options.posteriors):
        model, seconds = fit(posterior, n_steps, X, budget)
        bound = model.elbo(X_new, n_draws=min(budget.n_draws, 20)).mean()
        log_likelihood = model.score_samples(X_new, n_importance_draws=budget.n_draws).mean()
        published = PUBLISHED.get((posterior, n_steps), "") if options.mnist else ""
        row = [posterior, n_steps, bound, log_likelihood, log_likelihood - bound, seconds, published]
        print_table(COLUMNS, [row], header=not scores)
        scores[posterior, n_steps] = bound, log_likelihood
    draw(scores, options.output)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
