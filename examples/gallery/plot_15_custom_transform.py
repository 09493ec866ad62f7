"""
A transform of one's own
========================

Any invertible map can be a flow. A transform is a torch module with two methods, ``forward`` and ``inverse``, that map
rows of all components at once, Tensors of shape (C, N, D), and say how much they stretch the space there. This one
turns the plane about a point, by an angle that depends on the distance, and so undoes a spiral. It has two parameters
for each component, where a network has thousands.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from skflowmix import FlowMixtureClustering
from skflowmix.displays import AssignmentDisplay, DensityDisplay
from skflowmix.modules.transforms import Compose, FullMatrix, Transform, WhitenedAffine


class Swirl(Transform):
    """Rotation by an angle that is linear in the distance from the centre; it keeps areas."""

    def __init__(self, n_components):
        super().__init__()
        self.turn = nn.Parameter(torch.zeros(n_components, 2))

    def _rotate(self, x, sign):
        distance = x.norm(dim=2)
        angle = sign * (self.turn[:, :1] + self.turn[:, 1:] * distance)
        cos, sin = angle.cos(), angle.sin()
        first, second = x.unbind(2)
        return torch.stack([cos * first - sin * second, sin * first + cos * second], 2), torch.zeros_like(distance)

    def forward(self, x, context=None):
        return self._rotate(x, 1)

    def inverse(self, z, context=None):
        return self._rotate(z, -1)


def swirl(n_components, n_features):
    """What ``flow`` takes: a function that makes the transform of all components."""
    layers = [Swirl(n_components), WhitenedAffine(n_components, n_features, matrix=FullMatrix)]
    return Compose(layers)


# %%
# A galaxy of two arms, each a normal cluster that was turned.

rng = np.random.default_rng(0)
y = np.arange(800) % 2
along, across = rng.normal(size=(2, 800)) * [[0.35], [0.12]]
arm = np.column_stack([np.where(y, 1, -1) * (1.1 + along), across])
angle = 2.2 * np.linalg.norm(arm, axis=1)
X = np.column_stack([np.cos(angle) * arm[:, 0] - np.sin(angle) * arm[:, 1],
                     np.sin(angle) * arm[:, 0] + np.cos(angle) * arm[:, 1]])  # fmt: skip

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained", sharey=True)
for axis, (name, flow) in zip(axes, {"affine": "affine", "swirl": swirl}.items(), strict=True):
    model = FlowMixtureClustering(n_components=2, flow=flow, learning_rate_init=0.02, random_state=0).fit(X)
    DensityDisplay.from_estimator(model, X, ax=axis)
    AssignmentDisplay.from_estimator(model, X, ax=axis)
    axis.set_title(f"{name}: {model.score(X):.2f} nats")

# %%
# Angles that were learned, in radians for a standard deviation; those of the data are negative, as the map undoes them.

print(model.mixture_.flow.transforms[0].turn[:, 1].detach().numpy().round(2))
