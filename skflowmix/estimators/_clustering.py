"""Clustering by a mixture of flows."""

from sklearn.base import ClusterMixin

from ._base import FlowMixtureBase
from ._documentation import with_shared_documentation


@with_shared_documentation
class FlowMixtureClustering(ClusterMixin, FlowMixtureBase):
    """Clusters of any shape: each is one normalizing flow of a mixture.

    Like `sklearn.mixture.GaussianMixture` it has densities, probabilities of the clusters, and samples; unlike there
    a cluster may be a banana, a filament or a ring. Some rows may have labels: component i stands for the i-th
    sorted class in y, further components for what no label names, and more classes than `n_components` grow the
    mixture.

    Parameters
    ----------
    n_components : int or "auto", default=4
        Number of clusters. "auto" counts the hills of the density that valleys set apart; with labels there are at
        least as many as classes.
    {parameters}

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Component of each training row; the same as ``predict(X)``.
    {attributes}

    See Also
    --------
    FlowMixtureDensity : The same mixture, started for its density.
    FlowMixtureClassifier : Several components for each class.
    sklearn.mixture.GaussianMixture : A mixture of ellipses.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.metrics import adjusted_rand_score
    >>> from skflowmix import FlowMixtureClustering
    >>> X, y = make_moons(300, noise=0.07, random_state=0)
    >>> labels = FlowMixtureClustering(n_components=2, random_state=0).fit_predict(X)
    >>> bool(adjusted_rand_score(y, labels) > 0.95)
    True
    """

    def fit(self, X, y=None, sample_weight=None):
        """Fit the mixture and assign the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Class labels; -1 marks a row without one. None means that no row has one.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row that stands there twice.

        Returns
        -------
        self : FlowMixtureClustering
        """
        super().fit(X, y, sample_weight)
        self.labels_ = self.predict(X)
        return self

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit the mixture; the component of each row. Parameters as in `fit`."""
        return self.fit(X, y, sample_weight).labels_
