"""
Anomalies: learn the normal rows, score the new ones
====================================================

Breast cancer has 357 benign and 212 malignant tumours, of 30 features. A density is fitted to benign ones alone, and
tells how unlike them others are: the lower the log-density of a row, the odder it is. The area under the ROC curve says
how well malignant tumours are told apart by that.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import IsolationForest
from sklearn.metrics import RocCurveDisplay
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureDensity

X, benign = load_breast_cancer(return_X_y=True)
normal, new_normal = train_test_split(X[benign == 1], test_size=0.4, random_state=0)
X_test = np.vstack([new_normal, X[benign == 0]])
odd = np.arange(len(X_test)) >= len(new_normal)

# %%
# A single component: few rows of many features ask for no more.

models = {
    "skflowmix": FlowMixtureDensity(n_components=1, random_state=0),
    "GaussianMixture": make_pipeline(StandardScaler(), GaussianMixture(1, reg_covar=1e-3, random_state=0)),
    "KernelDensity": make_pipeline(StandardScaler(), KernelDensity(bandwidth=0.5)),
    "IsolationForest": IsolationForest(random_state=0),
}
figure, axis = plt.subplots(figsize=(5, 5), layout="constrained")
for name, model in models.items():
    RocCurveDisplay.from_predictions(odd, -model.fit(normal).score_samples(X_test), name=name, ax=axis)
axis.set(xlabel="benign tumours that are called odd", ylabel="malignant ones that are")

# %%
# Which rows to look at
# ---------------------
#
# A limit that a twentieth of the training rows are below calls about as many of the new normal rows odd.

density = models["skflowmix"]
limit = np.quantile(density.score_samples(normal), 0.05)
called = density.score_samples(X_test) < limit
print(f"called odd: {called[odd].mean():.2f} of the malignant, {called[~odd].mean():.2f} of the benign")
