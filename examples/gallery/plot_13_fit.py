"""
What a fit does
===============

A fit begins with a partition of the rows, chosen among several cheap ones; then each flow learns the rows of its
cluster (the warm-up); then all flows compete for all rows. Here each of the three is looked at.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from skflowmix import FlowMixtureClustering
from skflowmix.displays import AssignmentDisplay, DensityDisplay, TrainingDisplay

X, _ = make_moons(500, noise=0.1, random_state=0)


def fit(**parameters):
    return FlowMixtureClustering(n_components=2, random_state=0, **parameters).fit(X)


# %%
# The default; a fit from another start, k-means, which cuts the moons, so that the flows learn the cut; and one
# Gaussian for each cluster in place of a flow.

stages = {
    'init_params="auto"': fit(),
    'init_params="kmeans"': fit(init_params="kmeans"),
    'flow="affine"': fit(flow="affine"),
}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained", sharey=True)
for axis, (name, model) in zip(axes, stages.items(), strict=True):
    DensityDisplay.from_estimator(model, X, ax=axis)
    AssignmentDisplay.from_estimator(model, X, ax=axis)
    axis.set_title(f"{name}: {model.score(X):.2f} nats")

# %%
# Iteration by iteration
# ----------------------
#
# ``history_`` has the scores of the training rows and of the tenth that is held out, and the step size, which is cut
# where the latter no longer improves. The state with the best one is kept.

model = stages['init_params="auto"']
TrainingDisplay.from_estimator(model)
print(f"{model.n_iter_} iterations, converged: {model.converged_}")
plt.show()
