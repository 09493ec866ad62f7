"""
A posterior, its evidence, and whether to trust it
==================================================

Counts of accidents in a mine, year by year, fell at some time. The model has three parameters: the rate before, the
rate after, and the year of the change. Two models, with a change and without one, are compared by their evidence.
"""

import numpy as np
import torch

from skflowmix import FlowMixturePosterior
from skflowmix.displays import DensityDisplay

rng = np.random.default_rng(0)
year = torch.arange(40.0)
counts = torch.as_tensor(np.concatenate([rng.poisson(3.0, 24), rng.poisson(1.0, 16)]), dtype=torch.float32)


def log_poisson(log_rate):
    return (counts * log_rate - log_rate.exp() - torch.lgamma(counts + 1)).sum(1)


def log_normal(value):
    return -0.5 * value.square() - 0.5 * np.log(2 * np.pi)


def change(theta):
    """Logarithms of both rates, with standard normal priors, and the year, with a uniform one."""
    before, after, when = theta[:, :1], theta[:, 1:2], theta[:, 2:]
    share = torch.sigmoid((year - when) / 0.5)
    prior = log_normal(before[:, 0]) + log_normal(after[:, 0]) - np.log(40)
    return log_poisson(before + share * (after - before)) + prior


def no_change(theta):
    return log_poisson(theta.expand(-1, 40)) + log_normal(theta[:, 0])


# %%
# The parameters of the year have bounds, outside of which the function is not asked.

quick = {"n_layers": 4, "tol": 0.02, "n_iter_no_change": 4, "random_state": 0}
with_change = FlowMixturePosterior(bounds=[(-np.inf, np.inf)] * 2 + [(0, 40)], **quick).fit(change, n_features=3)
without = FlowMixturePosterior(**quick).fit(no_change, n_features=1)
print(f"log Bayes factor of a change: {with_change.log_evidence_ - without.log_evidence_:.2f} nats")

# %%
# ``pareto_k_`` says whether importance weights can be relied on: below .7 they can. If so, draws by weights are draws
# of the posterior.

print(f"Pareto k {with_change.pareto_k_:.2f}, {with_change.ess_:.0f} of 10,000 draws effective")
theta = with_change.sample(2000, method="resample", random_state=0)
print("means:", theta.mean(0).round(2), "deviations:", theta.std(0).round(2))

display = DensityDisplay.from_estimator(with_change, random_state=0)
display.figure_.set_size_inches(7, 7)
