"""
Too many components, and fewer
==============================

With ``weight_concentration_prior`` below one a fit begins with more components than there are clusters, and removes
those that only cut up one. Components merge where there is no valley of the density between them and one flow describes
held-out rows as well.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from skflowmix import FlowMixtureClustering
from skflowmix.displays import AssignmentDisplay

X, _ = make_moons(500, noise=0.07, random_state=0)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained", sharey=True)
for axis, prior in zip(axes, (None, 0.01), strict=True):
    model = FlowMixtureClustering(n_components=6, weight_concentration_prior=prior, n_layers=2, random_state=0).fit(X)
    AssignmentDisplay.from_estimator(model, X, ax=axis)
    axis.set_title(f"prior {prior}: {model.n_components_} components")
    print(prior, model.weights_.round(3))
