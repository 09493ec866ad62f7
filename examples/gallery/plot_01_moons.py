"""
Two moons
=========

The smallest example of what the package is for: two clusters that are bent, so that no two ellipses are like them.
:class:`~skflowmix.FlowMixtureClustering` takes the place of :class:`~sklearn.mixture.GaussianMixture`, with the same
words, and finds them. Grey bands are the density: each of them holds a known share of it. The
numbers are adjusted Rand indices, which are 1 where clusters are the moons.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from skflowmix import FlowMixtureClustering
from skflowmix.displays import AssignmentDisplay, DensityDisplay

X, y = make_moons(600, noise=0.07, random_state=0)
models = {
    "GaussianMixture": GaussianMixture(n_components=2, random_state=0),
    "FlowMixtureClustering": FlowMixtureClustering(n_components=2, random_state=0),
}

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", sharey=True)
for axis, (name, model) in zip(axes, models.items(), strict=True):
    labels = model.fit(X).predict(X)
    DensityDisplay.from_estimator(model, X, ax=axis)
    AssignmentDisplay.from_estimator(model, X, ax=axis)
    axis.set_title(f"{name}: {adjusted_rand_score(y, labels):.2f}")

# %%
# What else it knows
# ------------------
#
# Probabilities of the clusters, log-densities and new rows are exact, as those of a Gaussian mixture are.

print(model.predict_proba(X[:3]).round(3))
print(model.score_samples(X[:3]).round(2))
X_new, component = model.sample(5)
print(X_new.round(2), component)
