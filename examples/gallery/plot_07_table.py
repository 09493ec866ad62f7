"""
The density of a table
======================

The wine table has 178 rows of 13 chemical measurements. Log-densities of rows that a fit has not seen, in nats, compare
densities of any kind, as long as the rows are in the same units.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureDensity
from skflowmix.displays import DensityDisplay

table = load_wine(as_frame=True).data
X = StandardScaler().set_output(transform="pandas").fit_transform(table)
folds = KFold(3, shuffle=True, random_state=0)

models = {
    "skflowmix": FlowMixtureDensity(n_components=3, random_state=0),
    "GaussianMixture": GridSearchCV(
        GaussianMixture(random_state=0, reg_covar=1e-2),
        {"n_components": [1, 2, 3], "covariance_type": ["full", "diag"]},
    ),
    "KernelDensity": GridSearchCV(KernelDensity(), {"bandwidth": np.geomspace(0.2, 2, 10)}),
}
for name, model in models.items():
    scores = cross_val_score(model, X, cv=folds)
    if name == "KernelDensity":  # its score is a sum over the rows, not a mean
        scores /= [len(test) for _, test in folds.split(X)]
    print(f"{name:16}{scores.mean():8.2f} nats, standard error {scores.std(ddof=1) / np.sqrt(len(scores)):.2f}")

# %%
# A corner plot
# -------------
#
# Of many features those are drawn that are named: each alone, and each pair. Marginal densities are counted from draws.

density = models["skflowmix"].fit(X)
display = DensityDisplay.from_estimator(
    density, X, features=["alcohol", "flavanoids", "color_intensity", "proline"], random_state=0
)
display.figure_.set_size_inches(8, 8)
plt.show()
