"""Prediction and sampling, as all estimators do them."""

import copy
import pickle

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ..bridge import evaluate_in_chunks, seeded_generator
from ._fit import FlowMixtureFit

_MAX_STANDARDISED = 1e30


class FlowMixtureBase(FlowMixtureFit):
    """Mixture of flows behind scikit-learn's interface; see the public estimators."""

    def _evaluate(self, method, X):
        """A method of the mixture, by its name, for the standardised rows of X."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        function = getattr(self.mixture_, method)
        return self._spread(evaluate_in_chunks(function, X, self.mixture_, self._standardise))

    def _standardise(self, X):
        """Standardised rows in double precision, as far out as a flow can take them."""
        with np.errstate(over="ignore"):
            X = self._scaler.transform(X.astype(np.float64))
        return np.clip(X, -_MAX_STANDARDISED, _MAX_STANDARDISED)

    def _spread(self, values):
        """Columns of the mixture's components as columns of all that the fit began with; -inf for the pruned ones."""
        if values.ndim == 1 or values.shape[1] == len(self.weights_):
            return values
        spread = np.full((len(values), len(self.weights_)), -np.inf)
        spread[:, self._slots] = values
        return spread

    def _log_density(self, method, X):
        """`_evaluate` of a method that gives log-densities, in the units of X."""
        return self._evaluate(method, X) - np.log(self._scaler.scale_).sum()

    def predict(self, X):
        """Most probable component of each row, as in `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._evaluate("log_resp", X).argmax(1)

    def predict_proba(self, X):
        """Probabilities of the components given each row, those of the posterior network where there is one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return np.exp(self._evaluate("log_resp", X))

    def component_log_prob(self, X):
        """Log-density of each row under each component, in nats, in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return self._log_density("log_joint", X) - np.log(np.where(self.weights_ > 0, self.weights_, 1))

    def score_samples(self, X):
        """Log-density of each row, in nats, in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._log_density("log_prob", X)

    def elbo(self, X):
        """Bound on the log-density that the posterior gives each row; with the exact one, the log-density.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._log_density("elbo", X)

    def score(self, X, y=None, sample_weight=None):
        """Mean log-density of the rows, in nats.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
            Present for API consistency.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        return float(np.average(self.score_samples(X), weights=sample_weight))

    def sample(self, n_samples=1, random_state=None):
        """Draw rows from the fitted density, sorted by component.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`, so that an integer there repeats the draw.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,)
            Component that each row was drawn from.
        """
        check_is_fitted(self)
        if not isinstance(n_samples, (int, np.integer)) or n_samples < 1:
            raise ValueError(f"n_samples must be an integer of at least 1; got {n_samples!r}.")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        device = self.mixture_.logits.device
        generator = seeded_generator(random_state.randint(np.iinfo(np.int32).max), device)
        x, component = self.mixture_.sample(n_samples, generator=generator)
        return self._scaler.inverse_transform(x.cpu().numpy()), self._slots[component.cpu().numpy()]

    def _n_parameters(self):
        """Those of the density, which a posterior network is no part of."""
        named = self.mixture_.named_parameters()
        learned = [p for name, p in named if p.requires_grad and not name.startswith("posterior.")]
        return sum(p.numel() for p in learned) - self.mixture_.logits.requires_grad

    def bic(self, X):
        """Bayesian information criterion of the fit on X; lower is better. The parameters include all weights
        of the networks.
        """
        return self.aic(X) + self._n_parameters() * (np.log(len(X)) - 2)

    def aic(self, X):
        """Akaike information criterion of the fit on X; lower is better."""
        return -2 * float(self.score_samples(X).sum()) + 2 * self._n_parameters()

    def icl(self, X):
        """Integrated completed likelihood (Biernacki, Celeux and Govaert, 2000) of the fit on X: `bic` plus
        twice the entropy of the assignments; lower is better.
        """
        log_resp = np.log(np.clip(self.predict_proba(X), np.finfo(float).tiny, None))
        return self.bic(X) - 2 * float((np.exp(log_resp) * log_resp).sum())

    def save(self, path):
        """Write the estimator to a file; like every pickle, load it only from where you trust."""
        with open(path, "wb") as file:
            pickle.dump(self, file)

    @classmethod
    def load(cls, path):
        """Read an estimator that `save` wrote."""
        with open(path, "rb") as file:
            estimator = pickle.load(file)
        if not isinstance(estimator, cls):
            raise TypeError(f"{path} holds a {type(estimator).__name__}, not a {cls.__name__}.")
        return estimator

    def __getstate__(self):
        """State for pickling, its tensors on the CPU, so that it loads where there is no GPU."""
        state = super().__getstate__()
        if "mixture_" in state:
            state = {**state, "mixture_": copy.deepcopy(state["mixture_"]).cpu()}
        return state
