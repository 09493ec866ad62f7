"""Classification by mixtures of flows."""

import numpy as np
from scipy.special import logsumexp
from sklearn.base import ClassifierMixin

from ..initialization.n_components import choose_n_components
from ..initialization.soft import soft
from ._base import FlowMixtureBase
from ._documentation import with_shared_documentation
from ._labels import encode_labels
from ._start import spread_labels


@with_shared_documentation
class FlowMixtureClassifier(ClassifierMixin, FlowMixtureBase):
    """Generative classifier: each class is a mixture of normalizing flows.

    Rows labelled -1 have no label and shape the densities all the same; but if y holds -1 and only one other label,
    these are the two classes. Besides classes it gives densities, so that `score_samples` tells rows that are unlike
    all training rows.

    Parameters
    ----------
    n_components : int or "auto", default=4
        Number of components for each class. "auto" counts the hills of each class's density, and takes the largest
        number for all classes.
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FlowMixtureClustering : One component for each class, and further ones.
    sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis : One Gaussian for each class.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_circles
    >>> from skflowmix import FlowMixtureClassifier
    >>> X, y = make_circles(400, factor=0.5, noise=0.05, random_state=0)
    >>> partly = np.where(np.arange(400) < 10, y, -1)
    >>> model = FlowMixtureClassifier(n_components=1, random_state=0).fit(X, partly)
    >>> model.score(X, y) > 0.95
    True
    """

    @staticmethod
    def _encode_labels(y, n_samples):
        """Labels and codes; -1 next to a single other label is a class, as one class leaves nothing to tell apart."""
        classes, codes = encode_labels(y, n_samples)
        if not len(classes):
            raise ValueError("y labels no row: all of it is -1.")
        if len(classes) == 1 and (codes < 0).any():
            return np.unique(y, return_inverse=True)
        return classes, codes

    def _initializer(self, name):
        """As for clusters, but that within a class "auto" need not set any apart."""
        return soft if name == "auto" else super()._initializer(name)

    def _component_classes(self, n_components):
        return np.repeat(np.arange(len(self.classes_)), n_components)

    def _choose_n_components(self, X, data, random_state):
        """The largest number that one of the classes needs."""
        of_class, scores = spread_labels(X, data.codes), []
        for code in range(len(self.classes_)):
            rows = of_class == code
            scores.append(choose_n_components(X[rows], data.weight[rows], random_state)[-1])
        return max(max(of, key=of.__getitem__) for of in scores), scores, self.init_params

    def _class_log_resp(self, X):
        log_resp = self._evaluate("log_resp", X)
        return logsumexp(log_resp.reshape(len(log_resp), len(self.classes_), -1), axis=2)

    def predict(self, X):
        """Most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        log_resp = self._class_log_resp(X)
        return self.classes_[log_resp.argmax(1)]

    def predict_proba(self, X):
        """Probabilities of the classes, in the order of `classes_`, given each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return np.exp(self._class_log_resp(X))

    def sample(self, n_samples=1, random_state=None):
        """Draw rows from the fitted density, sorted by class.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`, so that an integer there repeats the draw.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,)
            Class of each row.
        """
        X, component = super().sample(n_samples, random_state)
        return X, self.classes_[component // (len(self.weights_) // len(self.classes_))]

    def score(self, X, y, sample_weight=None):  # type: ignore[override]
        """Mean accuracy of `predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            True classes.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        return ClassifierMixin.score(self, X, y, sample_weight)
