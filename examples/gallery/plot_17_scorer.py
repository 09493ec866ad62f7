"""
Judging clusterings in a search
===============================

In ``GridSearchCV(clusterer, ...).fit(X, y)`` the y is for the scorer. Clusterings of this package ignore a y without
-1, as KMeans does, so that no label leaks into a fit. A scorer compares the clusters of rows that were left out with
their classes.
"""

import pandas as pd
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from skflowmix import FlowMixtureClustering


def agreement(clusterer, X, y):
    """Adjusted Rand index of new rows, which `predict` assigns; it needs no numbers of clusters to match."""
    return adjusted_rand_score(y, clusterer.predict(X))


X, y = load_iris(return_X_y=True)
search = GridSearchCV(
    FlowMixtureClustering(n_components=3, n_layers=2, random_state=0),
    {"init_params": ["kmeans", "gmm", "auto"]},
    scoring=agreement,
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
)
search.fit(X, y)
results = pd.DataFrame(search.cv_results_).set_index("param_init_params")[["mean_test_score", "std_test_score"]]
print(results.round(3))
axis = results["mean_test_score"].plot.barh(xerr=results["std_test_score"], figsize=(6, 2.2))
axis.set(xlabel="adjusted Rand index of rows that were left out", ylabel="init_params")
axis.figure.tight_layout()

# %%
# The fit of the search's best one is the same with y and without.

with_y = search.best_estimator_.labels_
without = FlowMixtureClustering(n_components=3, n_layers=2, random_state=0, **search.best_params_).fit(X).labels_
print("no label leaked:", (with_y == without).all())

# %%
# Without classes, held-out log-density compares flows and starts (the search's default), and not numbers of clusters:
# see :ref:`sphx_glr_gallery_plot_03_how_many.py`.
