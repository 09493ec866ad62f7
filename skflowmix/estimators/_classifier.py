"""Classification by a mixture of flows for each class."""

import numpy as np
from scipy.special import logsumexp, softmax
from sklearn.base import ClassifierMixin

from ._base import FlowMixtureBase


class FlowMixtureClassifier(ClassifierMixin, FlowMixtureBase):
    """TODO."""

    def _component_classes(self, codes):
        if not len(self.classes_):
            raise ValueError("y must label at least one row; all of it is -1.")
        self.n_components_ = self.n_components * len(self.classes_)
        return np.repeat(np.arange(len(self.classes_)), self.n_components)

    def _class_log_joint(self, X):
        log_joint = self._log_joint(X)
        by_class = log_joint.reshape(len(log_joint), len(self.classes_), self.n_components)
        return logsumexp(by_class, axis=2)

    def predict(self, X):
        return self.classes_[self._class_log_joint(X).argmax(1)]

    def predict_proba(self, X):
        return softmax(self._class_log_joint(X), axis=1)

    def score(self, X, y, sample_weight=None):
        return ClassifierMixin.score(self, X, y, sample_weight)
