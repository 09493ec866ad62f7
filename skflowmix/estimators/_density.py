"""Density estimation by a mixture of flows."""

from sklearn.base import DensityMixin

from ..initialization.soft import soft
from ._base import FlowMixtureBase
from ._documentation import with_shared_documentation


@with_shared_documentation
class FlowMixtureDensity(DensityMixin, FlowMixtureBase):
    """Density of any shape, as a mixture of normalizing flows.

    Restarts are compared by held-out log-likelihood. Rows may have labels, which tie them to components as in
    `FlowMixtureClustering`.

    Parameters
    ----------
    n_components : int or "auto", default=4
        Number of components. "auto" counts the hills of the density that valleys set apart; with labels there are at
        least as many as classes.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FlowMixtureClustering : The same mixture, with the assignments of the training rows.
    sklearn.mixture.GaussianMixture : A mixture of ellipses.
    sklearn.neighbors.KernelDensity : A density without a model.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.mixture import GaussianMixture
    >>> from skflowmix import FlowMixtureDensity
    >>> X, _ = make_moons(500, noise=0.07, random_state=0)
    >>> X_new, _ = make_moons(500, noise=0.07, random_state=1)
    >>> flows = FlowMixtureDensity(n_components=2, random_state=0).fit(X)
    >>> gaussians = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> flows.score(X_new) > gaussians.score(X_new)
    True
    """

    score = FlowMixtureBase.score

    def _initializer(self, name):
        """As for clusters, but that without classes "auto" need not set any apart."""
        return soft if name == "auto" and not len(self.classes_) else super()._initializer(name)

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit the mixture; the most probable component of each row. Parameters as in `fit`."""
        return self.fit(X, y, sample_weight).predict(X)
