"""
Clusters of many shapes
=======================

Rings, crossing lines, and clusters of unequal width. Each is one component, and all of them are found with the number
of components and nothing else.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_blobs, make_circles
from sklearn.metrics import adjusted_rand_score

from skflowmix import FlowMixtureClustering
from skflowmix.displays import AssignmentDisplay, DensityDisplay

rng = np.random.default_rng(0)


def make_cross(n_samples):
    """Two narrow normal clusters that cross at a right angle."""
    y = np.arange(n_samples) % 2
    long, short = rng.normal(size=(2, n_samples)) * [[2.0], [0.15]]
    return np.column_stack([np.where(y, long, short), np.where(y, short, long)]), y


shapes = {
    "a ring around a disc": make_circles(400, factor=0.4, noise=0.05, random_state=0),
    "a cross": make_cross(400),
    "unequal blobs": make_blobs([200, 150, 50], cluster_std=[1.0, 2.5, 0.4], random_state=8),
}

figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained")
for axis, (name, (X, y)) in zip(axes, shapes.items(), strict=True):
    model = FlowMixtureClustering(len(np.unique(y)), random_state=0).fit(X)
    DensityDisplay.from_estimator(model, X, ax=axis)
    AssignmentDisplay.from_estimator(model, X, ax=axis)
    axis.set(title=f"{name}: {adjusted_rand_score(y, model.labels_):.2f}", xlabel="", ylabel="")
