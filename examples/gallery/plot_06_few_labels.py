"""
Digits with few labels
======================

Of 1,797 handwritten digits five of each class have a label, fifty in all. The others have none (-1), and shape the
densities of the classes all the same. Pictures have 64 features; their first 16 principal components are learned.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skflowmix import FlowMixtureClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
pca = PCA(16, random_state=0).fit(X_train)
Z_train, Z_test = pca.transform(X_train), pca.transform(X_test)

rng = np.random.default_rng(0)
chosen = np.concatenate([rng.choice(np.flatnonzero(y_train == digit), 5, replace=False) for digit in range(10)])
partly = np.full(len(y_train), -1)
partly[chosen] = y_train[chosen]

# %%
# A regression knows the fifty labelled rows only.

regression = LogisticRegression(max_iter=2000).fit(Z_train[chosen], y_train[chosen])
print(f"accuracy of a regression on 50 labels: {regression.score(Z_test, y_test):.3f}")

# %%
# The mixture has one flow for each class; it ends where an iteration gains less than .1 nats, for the page's sake.

model = FlowMixtureClassifier(n_components=1, flow="realnvp", tol=0.1, random_state=0)
model.fit(Z_train, partly)
print(f"accuracy with the {np.sum(partly == -1)} others: {model.score(Z_test, y_test):.3f}")

# %%
# Since the classifier is generative, it draws digits, each with its class.

drawn, digit = model.sample(200, random_state=0)
figure, axes = plt.subplots(2, 10, figsize=(9, 2.2), layout="constrained")
for column in range(10):
    for axis, row in zip(axes[:, column], drawn[digit == column][:2], strict=True):
        axis.imshow(pca.inverse_transform(row[None]).reshape(8, 8), cmap="Greys", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[])
    axes[0, column].set_title(str(column))
