"""Clustering by a mixture of flows."""

import numpy as np
import torch
from sklearn.base import ClusterMixin

from ..initialization.automatic import MAX_ROWS, partition_costs
from ..initialization.rounding import Rounded
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

    _seeks_clusters = True

    def _best_state(self, states, scores, n_restarts, rows, random_state):
        """The state whose partition has the best evidence, as among starts: likelihood does not tell clusters.

        Where there are labels, or clusters cannot differ, the score decides.
        """
        if rows.allowed is not None or states.n_components == 1 or states.n_restarts == 1:
            return super()._best_state(states, scores, n_restarts, rows, random_state)
        chosen = np.arange(len(rows))
        if len(rows) > MAX_ROWS:
            chosen = random_state.choice(len(rows), MAX_ROWS, replace=False)
        judged = rows[torch.as_tensor(chosen, device=rows.x.device)]
        x = judged.x.to(states.logits.device)
        X, weight = judged.x.double().cpu().numpy(), judged.weight.double().cpu().numpy()
        labels = [states.restart(i).log_resp(x).argmax(1).cpu().numpy() for i in range(states.n_restarts)]
        costs = partition_costs(Rounded.of(X, random_state), labels, weight, random_state)
        restart = int(np.argmin(costs.mean(1))) % n_restarts
        last, warm = restart, restart + n_restarts
        return last if _is_clearly_less(costs[last], costs[warm]) else warm

    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit the mixture; the component of each row. Parameters as in `fit`."""
        return self.fit(X, y, sample_weight).labels_


def _is_clearly_less(costs, others):
    """Whether the mean of paired numbers is less than that of the others by a standard error, or they are the same."""
    if not np.isfinite(costs.mean() + others.mean()):
        return bool(costs.mean() < others.mean())
    gain = others - costs
    return bool(gain.mean() >= gain.std() / np.sqrt(len(gain)))
