"""
Gates of a cytometer
====================

In flow cytometry an expert draws gates by hand: borders around populations of cells, in the plane of two markers.
Populations are bent, they overlap, and one of them is rare. Here a few cells of each are labelled, as an expert would
click on them, and the mixture draws the gates. The cells are simulated, on the usual scale
:math:`\\operatorname{arsinh}(x / 5)`.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import confusion_matrix

from skflowmix import FlowMixtureClassifier
from skflowmix.displays import AssignmentDisplay

rng = np.random.default_rng(0)
names = np.array(["lymphocytes", "monocytes", "debris", "rare"])
sizes = [600, 300, 250, 50]


def simulate():
    bend = rng.uniform(-1, 1, 600)
    lymphocytes = np.column_stack([3 + 0.8 * bend, 4.2 - 0.9 * bend**2]) + 0.2 * rng.normal(size=(600, 2))
    monocytes = rng.multivariate_normal([5.2, 4.9], [[0.12, 0.09], [0.09, 0.25]], 300)
    debris = np.column_stack([1 + rng.gamma(2.0, 0.35, 250), 1 + rng.gamma(2.0, 0.3, 250)])
    rare = rng.normal([4.8, 2.4], 0.18, size=(50, 2))
    return np.vstack([lymphocytes, monocytes, debris, rare]), np.repeat(names, sizes)


X, gate = simulate()

# %%
# Ten clicks in each population. Rows without a label are -1; those of strings may be mixed with it in an array of
# objects.

partly = np.full(len(X), -1, dtype=object)
for name in names:
    clicked = rng.choice(np.flatnonzero(gate == name), 10, replace=False)
    partly[clicked] = name

model = FlowMixtureClassifier(n_components=1, random_state=0).fit(X, partly)
print(f"accuracy on all cells: {model.score(X, gate):.3f}")
print(model.classes_)
print(confusion_matrix(gate, model.predict(X), labels=model.classes_))

# %%
# Gates are where the most probable population changes. A cell that is unlikely under all of them has a low density:
# doublets and artefacts can be left out by ``score_samples``.

figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
DecisionBoundaryDisplay.from_estimator(model, X, ax=axes[0], response_method="predict", alpha=0.25)
AssignmentDisplay.from_labels(X, gate, names=model.classes_, legend=True, ax=axes[0])
axes[0].set_title("gates, and cells by their population")
log_density = model.score_samples(X)
drawn = axes[1].scatter(*X.T, c=log_density, s=6, vmin=np.quantile(log_density, 0.02))
axes[1].scatter(*X[np.argsort(log_density)[:12]].T, s=60, facecolors="none", edgecolors="C3")
axes[1].set_title("log-density, and the twelve oddest cells")
figure.colorbar(drawn, ax=axes[1], label="nats")
