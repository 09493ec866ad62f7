"""
All posteriors at once
======================

Where a simulator is cheap and observations keep coming, one fit to simulated pairs gives the posterior of every
observation: :func:`~skflowmix.training.fit_conditional` learns a density of the parameter for each context. Here the
simulator squares its parameter and adds noise, so that every posterior has two modes.
"""

import matplotlib.pyplot as plt
import torch

from skflowmix.training import fit_conditional

generator = torch.Generator().manual_seed(0)
theta = 4 * torch.rand(2000, 1, generator=generator) - 2
x = theta.square() + 0.2 * torch.randn(2000, 1, generator=generator)
model, history = fit_conditional(theta, x, n_components=2, max_iter=40, generator=generator)

# %%
# The exact posterior is known by a grid: it is the likelihood, for the prior is flat.

grid = torch.linspace(-2, 2, 401)[:, None]
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained", sharey=True)
for axis, observed in zip(axes, (0.1, 1.0, 3.0), strict=True):
    context = torch.full((1, 1), observed)
    learned = model.log_prob(grid, context).detach().exp()
    exact = (-0.5 * ((observed - grid[:, 0].square()) / 0.2).square()).exp()
    axis.plot(grid, exact / (exact.sum() * 0.01), "k--", label="exact")
    axis.plot(grid, learned, label="learned")
    axis.set(title=f"x = {observed}", xlabel="theta")
axes[0].legend()
