"""
A search over flows
===================

Estimators are scikit-learn's, so that a grid search chooses the flow, and what else there is to choose. Without another
scorer it maximises the log-density of rows that were left out, which no likelihood of the training rows would replace:
flows learn those by heart. Fits take one thread each, so ``n_jobs`` uses the cores.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import make_moons
from sklearn.model_selection import GridSearchCV

from skflowmix import FlowMixtureDensity
from skflowmix.displays import DensityDisplay

X, _ = make_moons(300, noise=0.1, random_state=0)
search = GridSearchCV(
    FlowMixtureDensity(random_state=0),
    {"n_components": [1, 2], "flow": ["affine", "realnvp", "nsf"]},
    cv=2,
)
search.fit(X)
results = pd.DataFrame(search.cv_results_)
print(results.pivot_table(index="param_flow", columns="param_n_components", values="mean_test_score").round(3))
print(search.best_params_)

# %%
# The best one was fitted again to all rows. Next to it the worst.

worst = search.cv_results_["params"][int(search.cv_results_["mean_test_score"].argmin())]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained", sharey=True)
for axis, model in zip(axes, (FlowMixtureDensity(**worst, random_state=0).fit(X), search.best_estimator_), strict=True):
    DensityDisplay.from_estimator(model, X, ax=axis)
    axis.plot(*X.T, "k.", markersize=2)
    axis.set_title(f"{model.flow}, {model.n_components}: {model.score(X):.2f} nats on the training rows")
