"""Fitting, prediction and sampling, as all estimators do them."""

import copy
import pickle
import warnings

import numpy as np
import torch
from scipy.special import logsumexp, softmax
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from ..bases import BASES
from ..bridge import evaluate_in_chunks, resolve_device, seeded_generator
from ..flows import make_flow
from ..mixture import FlowMixture
from ..training import Rows, TrainingOptions, train
from ._labels import encode_labels
from ._parameters import FlowMixtureParameters
from ._rows import fit_scaler, merge_repeated_rows, nearest_neighbors, validation_split
from ._start import first_responsibilities

_MAX_STANDARDISED = 1e30
_FULL_BATCH = 512
_BATCH = 256
_NEIGHBOR_NOISE = 0.5


class FlowMixtureBase(FlowMixtureParameters):
    """Mixture of flows behind scikit-learn's interface; see the public estimators."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Class labels; -1 marks a row without one. None means that no row has one.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; a weight of two is a row that stands there twice.

        Returns
        -------
        self : object
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        weight = _non_negative_weights(sample_weight, X)
        if y is not None:
            y = column_or_1d(y, warn=True)
            check_consistent_length(X, y)
        elif self.__sklearn_tags__().target_tags.required:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        self.classes_, codes = encode_labels(y, len(X))
        component_class = self._component_classes(codes)
        data = merge_repeated_rows(X, codes, weight, self._given_responsibilities(X, component_class))
        if len(data.X) < 2:
            raise ValueError(f"Found {len(data.X)} distinct row(s) of positive weight; at least 2 are required.")
        self._fit_rows(data, component_class)
        return self

    def _component_classes(self, codes):
        """Set `n_components_`; the class of each component as an index, -1 for those that no label names."""
        self.n_components_ = max(self.n_components, len(self.classes_))
        component_class = np.full(self.n_components_, -1)
        component_class[: len(self.classes_)] = np.arange(len(self.classes_))
        return component_class

    def _given_responsibilities(self, X, component_class):
        """`init_params` as an array of shape (N, K), None where it is a name or a callable."""
        if isinstance(self.init_params, str) or callable(self.init_params):
            return None
        resp = check_array(self.init_params, dtype=np.float64, input_name="init_params")
        expected = (len(X), len(component_class))
        if resp.shape != expected or (resp < 0).any() or not (resp.sum(1) > 0).all():
            raise ValueError(
                "init_params as an array must hold non-negative responsibilities, rows not all zero, of shape "
                f"(n_samples, n_components) = {expected}; got shape {resp.shape}."
            )
        return resp / resp.sum(1, keepdims=True)

    def _fit_rows(self, data, component_class):
        device = resolve_device(self.device)
        dtype = getattr(torch, self.dtype)
        random_state = check_random_state(self.random_state)
        continued = self.warm_start and hasattr(self, "mixture_")
        if not continued:
            self._scaler = fit_scaler(data.X, data.weight)
        X = self._scaler.transform(data.X)
        seeds = random_state.randint(np.iinfo(np.int32).max, size=1 if continued else self.n_init)
        training, validation = np.arange(len(X)), np.array([], dtype=int)
        if self.early_stopping:
            training, validation = validation_split(data.codes, self.validation_fraction, random_state)

        if continued:
            mixture = self._continued_mixture(component_class)
        else:
            mixture = FlowMixture.stack([self._start(X, data, component_class, seed, dtype) for seed in seeds])
        mixture = mixture.to(device, dtype)
        allowed = None
        if len(self.classes_):
            allowed = (data.codes[:, None] == component_class) | (data.codes[:, None] < 0)
            allowed = torch.as_tensor(allowed, device=device)
        rows = Rows(
            torch.as_tensor(X, dtype=dtype, device=device),
            torch.as_tensor(data.weight / data.weight.mean(), dtype=dtype, device=device),
            allowed,
        )
        neighbors, neighbor_scale = nearest_neighbors(X[training], data.codes[training], random_state)
        scores, self.converged_, history = train(
            mixture,
            rows[training],
            self._training_options(len(training), neighbor_scale),
            validation=rows[validation] if len(validation) else None,
            neighbors=torch.as_tensor(neighbors, device=device),
            generator=seeded_generator(random_state.randint(np.iinfo(np.int32).max), device),
        )
        self._keep_restart(mixture, int(np.argmax(scores)), scores, history)
        self._component_class = component_class

    def _start(self, X, data, component_class, seed, dtype):
        """A mixture whose components are the Gaussians of the first responsibilities."""
        resp = first_responsibilities(
            self.init_params,
            X,
            data,
            component_class,
            np.random.RandomState(seed),
        )
        n_components, n_features = len(component_class), X.shape[1]
        flow = make_flow(
            self.flow,
            n_components,
            n_features,
            n_layers=self.n_layers,
            hidden_layer_sizes=tuple(self.hidden_layer_sizes),
            reg_covar=self.reg_covar,
            generator=seeded_generator(seed, "cpu"),
        )
        mixture = FlowMixture(flow, BASES[self.base](n_components, n_features), n_components).to(dtype)
        mixture.initialize(torch.as_tensor(X, dtype=dtype), torch.as_tensor(resp * data.weight[:, None], dtype=dtype))
        self._set_weights(mixture)
        return mixture

    def _set_weights(self, mixture):
        if self.weights_init is not None:
            weights = check_array(self.weights_init, ensure_2d=False, dtype=np.float64, input_name="weights_init")
            if weights.shape != (mixture.n_components,) or (weights <= 0).any():
                raise ValueError(
                    f"weights_init must hold {mixture.n_components} positive numbers, one for each component; "
                    f"got {self.weights_init!r}."
                )
            mixture.logits.data.copy_(torch.as_tensor(np.log(weights / weights.sum())))
        elif not self.learn_weights:
            mixture.logits.data.zero_()
        mixture.logits.requires_grad_(self.learn_weights)

    def _continued_mixture(self, component_class):
        mixture = copy.deepcopy(self.mixture_)
        if (mixture.n_components, mixture.base.n_features) != (len(component_class), self.n_features_in_):
            raise ValueError(
                "warm_start=True goes on with the fitted mixture, which has "
                f"{mixture.n_components} components of {mixture.base.n_features} features; this fit would need "
                f"{len(component_class)} of {self.n_features_in_}."
            )
        return mixture

    def _training_options(self, n_rows, neighbor_scale):
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = n_rows if n_rows <= _FULL_BATCH else _BATCH
        return TrainingOptions(
            max_iter=self.max_iter,
            batch_size=batch_size,
            learning_rate=self.learning_rate_init,
            alpha=self.alpha,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            noise=float(np.sqrt(self.reg_covar)),
            neighbor_noise=_NEIGHBOR_NOISE * neighbor_scale,
            supervised_weight=self.supervised_weight,
            unlabelled_weight=self.unlabelled_weight,
            verbose=bool(self.verbose),
        )

    def _keep_restart(self, mixture, best, scores, history):
        """Set the fitted attributes from one of the restarts."""
        self.mixture_ = mixture.restart(best).double()
        self.weights_ = self.mixture_.log_weights().exp().squeeze(0).detach().cpu().numpy()
        self.history_ = history
        self.n_iter_ = len(history.training_score)
        to_units_of_x = -np.log(self._scaler.scale_).sum()
        self.lower_bound_ = scores[best] + to_units_of_x
        score_history = history.validation_score or history.training_score
        self.lower_bounds_ = [score[best] + to_units_of_x for score in score_history]
        if history.interrupted:
            warnings.warn(
                f"The fit was interrupted after {self.n_iter_} iterations; the best state so far is kept.",
                ConvergenceWarning,
                stacklevel=4,
            )
        elif not self.converged_:
            warnings.warn(
                f"The fit still improved after max_iter={self.max_iter} iterations; a larger max_iter may help.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _log_joint(self, X):
        """``log w_k + log p(x | k)`` in the units of X, ndarray of shape (N, K)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        X = np.clip(self._scaler.transform(X), -_MAX_STANDARDISED, _MAX_STANDARDISED)
        return evaluate_in_chunks(self.mixture_.log_joint, X, self.mixture_) - np.log(self._scaler.scale_).sum()

    def predict(self, X):
        """Most probable component of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self._log_joint(X).argmax(1)

    def predict_proba(self, X):
        """Probabilities of the components given each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return softmax(self._log_joint(X), axis=1)

    def component_log_prob(self, X):
        """Log-density of each row under each component, in nats, in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
        """
        return self._log_joint(X) - np.log(self.weights_)

    def score_samples(self, X):
        """Log-density of each row, in nats, in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return logsumexp(self._log_joint(X), axis=1)

    def elbo(self, X):
        """Bound on the log-density that the posterior gives each row; with the exact one, the log-density.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        return self.score_samples(X)

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
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1; got {n_samples}.")
        random_state = check_random_state(self.random_state if random_state is None else random_state)
        device = self.mixture_.logits.device
        generator = seeded_generator(random_state.randint(np.iinfo(np.int32).max), device)
        x, component = self.mixture_.sample(n_samples, generator=generator)
        return self._scaler.inverse_transform(x.cpu().numpy()), component.cpu().numpy()

    def _n_parameters(self):
        return sum(p.numel() for p in self.mixture_.parameters() if p.requires_grad)

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


def _non_negative_weights(sample_weight, X):
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError("sample_weight must not hold negative weights.")
    if not (weight > 0).any():
        raise ValueError("sample_weight must hold at least one positive weight.")
    return weight
