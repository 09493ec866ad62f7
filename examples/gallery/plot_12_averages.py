"""
Averages of fits
================

On few rows a flow learns some of them by heart. Several fits err in different places, so that their mean is better than
each: ``n_estimators`` trains as many mixtures side by side, with other rows held out in each, and makes one mixture of
them, whose density, draws and probabilities are exact as ever. By default there are six
where rows are few.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skflowmix import FlowMixtureDensity

columns = ["alcohol", "flavanoids", "color_intensity", "proline"]
X = StandardScaler().fit_transform(load_wine(as_frame=True).data[columns])
X_train, X_test = train_test_split(X, test_size=0.4, random_state=0)

numbers = [1, 2, 4]
held_out = []
for number in numbers:
    model = FlowMixtureDensity(n_components=2, n_layers=2, n_estimators=number, random_state=0).fit(X_train)
    held_out.append(model.score(X_test))
    print(f"{number}: {held_out[-1]:.3f} nats, {model.mixture_.n_components} components")

figure, axis = plt.subplots(figsize=(5, 3.5), layout="constrained")
axis.plot(numbers, held_out, "o-")
axis.set(xlabel="fits in the average", ylabel="held-out log-density, nats", xticks=numbers)

# %%
# The order of the components tells which fit they belong to; the mixture's weights are those of the fits, divided by
# their number.

print(np.round(model.weights_, 2))
