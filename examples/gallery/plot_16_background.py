"""
Clusters in a background
========================

A tenth of the rows here belong to no cluster. They do not take a component away from one: rows that a uniform density
explains better than any cluster count for no partition of the start. They have a label all the same, that of the
nearest cluster; their density says that they are not of it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from skflowmix import FlowMixtureClustering
from skflowmix.displays import AssignmentDisplay

moons, y = make_moons(600, noise=0.06, random_state=0)
background = np.random.default_rng(0).uniform(moons.min(0) - 0.3, moons.max(0) + 0.3, size=(60, 2))
X = np.vstack([moons, background])

model = FlowMixtureClustering(n_components=2, random_state=0).fit(X)
is_background = np.arange(len(X)) >= len(moons)
log_density = model.score_samples(X)
print(f"adjusted Rand index of the moons: {adjusted_rand_score(y, model.labels_[: len(moons)]):.3f}")
print(f"area under the ROC curve of the background, by density: {roc_auc_score(is_background, -log_density):.3f}")

# %%
# HDBSCAN calls such rows noise, -1. A limit of the density does the same here.

limit = np.quantile(log_density, 0.07)
labels = np.where(log_density < limit, -1, model.labels_)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained", sharey=True)
AssignmentDisplay.from_labels(X, model.labels_, ax=axes[0])
AssignmentDisplay.from_labels(X, labels, ax=axes[1])
axes[0].set_title("labels_")
axes[1].set_title("the 7 % with the least density in grey")
