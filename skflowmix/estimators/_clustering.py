"""Clustering by a mixture of flows."""

from sklearn.base import ClusterMixin

from ._base import FlowMixtureBase


class FlowMixtureClustering(ClusterMixin, FlowMixtureBase):
    """TODO."""

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.labels_ = self.predict(X)
        return self

    def fit_predict(self, X, y=None, sample_weight=None):
        return self.fit(X, y, sample_weight).labels_
