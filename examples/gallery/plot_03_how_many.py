"""
How many clusters: "auto" against BIC
=====================================

A bent cluster takes a Gaussian mixture several ellipses, so that its information criterion counts those. ``"auto"``
asks for borders instead: how deep a valley of the density is between two clusters, and how narrow it is.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture

from skflowmix import FlowMixtureClustering
from skflowmix.displays import AssignmentDisplay, ComponentsDisplay

moons, _ = make_moons(400, noise=0.07, random_state=0)
X = np.vstack([moons, np.random.default_rng(0).normal([3.2, 0.3], 0.25, size=(200, 2))])

# %%
# The smallest BIC is that of many ellipses.

numbers = range(1, 13)
bic = [GaussianMixture(k, n_init=3, random_state=0).fit(X).bic(X) for k in numbers]
print("BIC's choice:", numbers[int(np.argmin(bic))])

# %%
# The score of borders is highest at the three clusters that one sees. ``n_components_scores_`` has all that were tried.

model = FlowMixtureClustering(n_components="auto", random_state=0).fit(X)
print("auto's choice:", model.n_components_)

figure, axes = plt.subplots(1, 3, figsize=(11, 3.5), layout="constrained")
axes[0].plot(numbers, bic, "o-", markerfacecolor="white")
axes[0].set(xlabel="number of ellipses", title="BIC of GaussianMixture")
ComponentsDisplay.from_estimator(model, ax=axes[1])
AssignmentDisplay.from_estimator(model, X, ax=axes[2])
