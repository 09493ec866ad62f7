"""Density estimation by a mixture of flows."""

from sklearn.base import DensityMixin

from ._base import FlowMixtureBase


class FlowMixtureDensity(DensityMixin, FlowMixtureBase):
    """TODO."""

    score = FlowMixtureBase.score

    def fit_predict(self, X, y=None, sample_weight=None):
        return self.fit(X, y, sample_weight).predict(X)
