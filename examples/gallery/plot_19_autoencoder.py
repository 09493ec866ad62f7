"""
Clusters of digits in a latent plane
====================================

:class:`~skflowmix.FlowAutoencoder` is a transformer: it makes a few latent features of many, and rows of them again.
Its prior may be a mixture of flows, whose components are clusters then. No label is used here; colours are those of the
components.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from skflowmix import FlowAutoencoder

X, y = load_digits(return_X_y=True)
X = X / 16
model = FlowAutoencoder(
    n_latent_features=2, prior="flow-mixture", hidden_layer_sizes=(64,), tol=0.1, n_iter_no_change=3, random_state=0
).fit(X)
latent, component = model.transform(X), model.predict(X)
print(f"adjusted Rand index of components and digits: {adjusted_rand_score(y, component):.2f}")
print(f"bound on the log-density: {model.score(X):.1f} nats a picture")

figure, axis = plt.subplots(figsize=(6, 5), layout="constrained")
axis.scatter(*latent.T, c=component, s=4, cmap="tab10")
for digit in range(10):
    axis.text(*np.median(latent[y == digit], axis=0), str(digit), fontsize=16, weight="bold")
axis.set(title="latent places, and where each digit is", xlabel="latent 0", ylabel="latent 1")

# %%
# What the decoder makes of the places of the plane.

low, high = np.quantile(latent, [0.02, 0.98], axis=0)
first, second = np.linspace(low[0], high[0], 12), np.linspace(high[1], low[1], 12)
pixels = model.inverse_transform(np.array([[a, b] for b in second for a in first])).reshape(12, 12, 8, 8)
figure, axis = plt.subplots(figsize=(5, 5), layout="constrained")
axis.imshow(pixels.transpose(0, 2, 1, 3).reshape(96, 96), cmap="Greys", vmin=0, vmax=1)
axis.set(xticks=[], yticks=[])
