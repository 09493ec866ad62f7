"""
A posterior, its evidence, and whether to trust it
==================================================

Counts of a year each, simulated here, fall at some time. The model has three parameters: the rate before, the
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


# %%
# The year has bounds, outside of which the function is not asked. Without a change there is one parameter, over which a
# grid integrates.

posterior = FlowMixturePosterior(
    bounds=[(-np.inf, np.inf), (-np.inf, np.inf), (0, 40)], n_layers=4, tol=0.01, n_iter_no_change=6, random_state=0
).fit(change, n_features=3)
log_rate = torch.linspace(-2, 2, 2001)[:, None]
no_change = log_poisson(log_rate.expand(-1, 40)) + log_normal(log_rate[:, 0])
log_evidence = float(no_change.logsumexp(0)) + np.log(0.002)
print(f"log Bayes factor of a change: {posterior.log_evidence_ - log_evidence:.2f} nats")

# %%
# ``pareto_k_`` says whether importance weights can be relied on: below .7 they can. If so, draws by weights are draws
# of the posterior.

print(f"Pareto k {posterior.pareto_k_:.2f}, {posterior.ess_:.0f} of 10,000 draws effective")
theta = posterior.sample(2000, method="resample", random_state=0)
print("means:", theta.mean(0).round(2), "deviations:", theta.std(0).round(2))

display = DensityDisplay.from_estimator(posterior, random_state=0)
display.figure_.set_size_inches(7, 7)
