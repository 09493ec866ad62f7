"""Adam with and without the correction of its bias, AdaMax, averaged weights: Kingma and Ba (2015, arXiv:1412.6980).

A small autoencoder of digits is trained from one start by each of them, with several step sizes. Without correction
Adam's first steps are too long where the mean square of gradients is slowly forgotten (section 6.4). Averages of the
weights (section 7.2), also corrected, take out what a long step size leaves of noise. The table has the bound on
log p(x) of digits that were not fitted, after few and after many epochs.

    python examples/papers/optimisers.py [--mnist PATH] [--budget small] [--output optimisers.png]
"""

from dataclasses import dataclass
from functools import partial

import torch
from comparison import all_digits, option_parser, panels, print_table, timed_fit

from skflowmix import FlowAutoencoder

COLUMNS = ("method", "beta_2", "step size", "bound, early", "bound, late", "seconds")


@dataclass(frozen=True)
class Budget:
    """Rows to fit, epochs (few and many), step sizes, and decays of the mean square."""

    n_rows: int
    epochs: tuple
    step_sizes: tuple
    betas: tuple


BUDGETS = {
    "small": Budget(200, (1, 2), (1e-3,), (0.999,)),
    "full": Budget(1200, (10, 100), (3e-4, 1e-3, 3e-3, 1e-2), (0.99, 0.999, 0.9999)),
}


class PlainAdam:
    """Adam in a few lines, an `Optimizer` of skflowmix.training.

    Parameters
    ----------
    values, gradients : list of Tensor
    step_size, weight_decay : float
    beta_2 : float
        Decay of the mean square.
    corrects : bool
        Whether means are divided by what their start at zero has left of them.
    """

    def __init__(self, values, gradients, step_size, weight_decay, *, beta_2, corrects):
        self.values, self.gradients, self.weight_decay = values, gradients, weight_decay
        self.betas, self.corrects = (0.9, beta_2), corrects
        self.start_again(step_size)

    def start_again(self, step_size):
        self.step_size, self.n_steps = step_size, 0
        self.moments = [tuple(torch.zeros_like(value) for _ in self.betas) for value in self.values]

    @torch.no_grad()
    def step(self, excess, failed):
        if failed:
            return
        self.n_steps += 1
        shares = [1 - beta**self.n_steps if self.corrects else 1.0 for beta in self.betas]
        for value, gradient, moments in zip(self.values, self.gradients, self.moments, strict=True):
            gradient = gradient / excess
            for power, (moment, beta) in enumerate(zip(moments, self.betas, strict=True), start=1):
                moment.lerp_(gradient**power, 1 - beta)
            mean, square = (moment / share for moment, share in zip(moments, shares, strict=True))
            value.mul_(1 - self.step_size * self.weight_decay).sub_(self.step_size * mean / (square.sqrt() + 1e-8))


def methods(betas):
    """Yields (name, beta_2, parameters of the estimator)."""
    for beta_2 in betas:
        for name, corrects in (("Adam", True), ("Adam, not corrected", False)):
            yield name, beta_2, {"optimizer": partial(PlainAdam, beta_2=beta_2, corrects=corrects)}
    yield "Adam, averaged", 0.999, {"averaging": 0.99}
    yield "AdaMax", 0.999, {"optimizer": "adamax"}
    yield "AdaMax, averaged", 0.999, {"optimizer": "adamax", "averaging": 0.99}


def main(arguments=None):
    parser = option_parser(__doc__, "optimisers.png")
    parser.add_argument("--mnist", help="archive with X, y and n_train; without it the digits that scikit-learn ships")
    options = parser.parse_args(arguments)
    budget = BUDGETS[options.budget]
    X, _, X_new, _ = all_digits(options.mnist, n_rows=budget.n_rows)
    figure, axes = panels(1, len(budget.epochs))
    for i, (name, beta_2, parameters) in enumerate(methods(budget.betas)):
        found = []
        for j, step_size in enumerate(budget.step_sizes):
            bounds, seconds = [], 0.0
            for max_iter in budget.epochs:
                model = FlowAutoencoder(
                    8,
                    hidden_layer_sizes=(64,),
                    max_iter=max_iter,
                    n_iter_no_change=max_iter + 1,
                    learning_rate_init=step_size,
                    early_stopping=False,
                    random_state=0,
                    **parameters,
                )
                model, taken = timed_fit(model, X)
                bounds.append(model.elbo(X_new).mean())
                seconds += taken
            found.append(bounds)
            print_table(COLUMNS, [[name, beta_2, f"{step_size:g}", *bounds, seconds]], header=i == j == 0)
        for axis, of_size in zip(axes[0], zip(*found, strict=True), strict=True):
            axis.semilogx(budget.step_sizes, of_size, "o-", label=f"{name}, {beta_2}")
    for axis, max_iter in zip(axes[0], budget.epochs, strict=True):
        axis.set(title=f"{max_iter} epochs", xlabel="step size", ylabel="bound, nats")
    axes[0, -1].legend(fontsize="x-small")
    figure.savefig(options.output, dpi=110)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
