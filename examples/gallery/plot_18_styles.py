"""
Styles of digits
================

An autoencoder with classes tells two things of a picture apart: which digit it is, and how it is written.
:class:`~skflowmix.FlowAutoencoderClassifier` learns both, here from 500 labelled digits and 1,297 without a label, and
writes any digit in the style of another.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skflowmix import FlowAutoencoderClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
partly = np.full(len(y), -1)
partly[:500] = y[:500]

model = FlowAutoencoderClassifier(
    n_latent_features=3, hidden_layer_sizes=(64,), tol=0.05, n_iter_no_change=4, random_state=0
).fit(X, partly)
print(f"accuracy on the digits without a label: {model.score(X[500:], y[500:]):.3f}")

# %%
# To the left digits of the table; beside them, in each one's style, the digits 0 to 9. ``reconstruct`` takes rows and
# the classes that they shall have.

left = X[[10, 25, 48, 60, 77]]
figure, axes = plt.subplots(5, 11, figsize=(8, 3.8), layout="constrained")
for row, picture in zip(axes, left, strict=True):
    written = model.reconstruct(np.repeat(picture[None], 10, axis=0), np.arange(10))
    for axis, pixels in zip(row, [picture, *written], strict=True):
        axis.imshow(pixels.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    row[0].spines[:].set_color("C3")
