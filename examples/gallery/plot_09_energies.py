"""
Energies
========

Two densities that are known up to a constant: a ring that is cut in two halves, the first energy of Rezende and Mohamed
(2015, arXiv:1505.05770), and a banana. :class:`~skflowmix.FlowMixturePosterior` takes the function in place of rows. It
finds the constant as well, which a grid knows here.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

from skflowmix import FlowMixturePosterior


def ring(theta):
    first = theta[:, 0]
    radius = theta.norm(dim=1)
    halves = torch.logaddexp(-0.5 * ((first - 2) / 0.6) ** 2, -0.5 * ((first + 2) / 0.6) ** 2)
    return halves - 0.5 * ((radius - 2) / 0.4) ** 2


def banana(theta):
    first, second = theta.unbind(1)
    return -0.5 * first**2 - 0.5 * ((second - 0.7 * first**2 + 1) / 0.5) ** 2


axis_ = torch.linspace(-7, 7, 351)
grid = torch.cartesian_prod(axis_, axis_)
log_area = 2 * np.log(14 / 350)

figure, axes = plt.subplots(2, 2, figsize=(8, 7.5), layout="constrained")
for row, energy in zip(axes, (ring, banana), strict=True):
    posterior = FlowMixturePosterior(n_layers=4, tol=0.01, n_iter_no_change=6, random_state=0).fit(energy, n_features=2)
    exact = float(energy(grid).double().logsumexp(0)) + log_area
    print(
        f"{energy.__name__}: log-evidence {posterior.log_evidence_:.3f}, by the grid {exact:.3f}; "
        f"{posterior.n_components_} components, Pareto k {posterior.pareto_k_:.2f}"
    )
    fitted = posterior.score_samples(grid)
    for axis, values in zip(row, (energy(grid).numpy() - exact, fitted), strict=True):
        axis.contourf(axis_, axis_, np.exp(values).reshape(351, 351).T, levels=12, cmap="Greys")
        axis.set(xlim=(-4, 4), ylim=(-4, 4))
    row[0].set_title(f"{energy.__name__}: the energy")
    row[1].set_title("the mixture")
