"""What is not known of recorded values, because they are rounded.

A density may be as high as it likes where equal values repeat, and nothing lies between two values that are neighbours:
of a column of counts, grades or yes and no both would say nothing else, and find the clusters in which such a column is
constant. Values that are multiples of h stand for an interval of that width. Its uniform distribution has the variance
:math:`h^2 / 12` (Sheppard, 1898, Proceedings of the London Mathematical Society 29), which each covariance has in
addition, and neighbours are those of rows drawn from the intervals.
"""

from dataclasses import dataclass

import numpy as np

_N_DECIMALS = 9


@dataclass
class Rounded:
    """Rows as they are recorded, and as they may have been.

    Attributes
    ----------
    values : ndarray of shape (N, D)
    variance : ndarray of shape (D,)
        Of the rounding of each feature.
    spread : ndarray of shape (N, D)
        Each value somewhere in the interval that it stands for.
    """

    values: np.ndarray
    variance: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, X, random_state):
        """Of standardised rows; values that agree in nine decimals count as equal.

        The width of the intervals is the median distance of neighbouring values; 0 for a constant feature.
        """
        width = np.array([_resolution(feature) for feature in X.T.round(_N_DECIMALS)])
        return cls(X, width**2 / 12, X + width * random_state.uniform(-0.5, 0.5, X.shape))

    def __len__(self):
        return len(self.values)

    def rows(self, chosen):
        return Rounded(self.values[chosen], self.variance, self.spread[chosen])

    def projected(self, linear_map):
        """Of coordinates that are linear maps of the features: (D, E)."""
        return Rounded(self.values @ linear_map, self.variance @ linear_map**2, self.spread @ linear_map)


def _resolution(values):
    distinct = np.unique(values)
    return np.median(np.diff(distinct)) if len(distinct) > 1 else 0.0
