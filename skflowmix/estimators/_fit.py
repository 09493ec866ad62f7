"""Fitting, as all estimators do it."""

import copy
import warnings

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d, validate_data

from ..bases import BASES
from ..bridge import resolve_device, seeded_generator
from ..flows import make_flow
from ..mixture import FlowMixture
from ..posterior import PosteriorNetwork
from ..training import SOLVERS, Objective, Rows, TrainingOptions
from ._labels import encode_labels
from ._parameters import FlowMixtureParameters
from ._rows import fit_scaler, merge_repeated_rows, nearest_neighbors, validation_split
from ._start import first_responsibilities

_FULL_BATCH = 512
_SMALL_BATCH, _LARGE_BATCH = 256, 1024
_NEIGHBOR_NOISE = 0.5
_RAMP_SHARE = 20


class FlowMixtureFit(FlowMixtureParameters):
    """From parameters and rows to a fitted mixture."""

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
        _check_layer_sizes(self.hidden_layer_sizes)
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        weight = _non_negative_weights(sample_weight, X)
        if y is not None:
            y = column_or_1d(y, warn=True)
            check_consistent_length(X, y)
        elif self.__sklearn_tags__().target_tags.required:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        used = weight > 0
        self.classes_, codes = self._encode_labels(None if y is None else y[used], used.sum())
        component_class = self._component_classes()
        resp = self._given_responsibilities(len(X), component_class)
        data = merge_repeated_rows(X[used], codes, weight[used], None if resp is None else resp[used])
        if len(data.X) < 2:
            raise ValueError(f"Found {len(data.X)} distinct row(s) of positive weight; at least 2 are required.")
        self._fit_rows(data, component_class)
        return self

    _encode_labels = staticmethod(encode_labels)

    def _component_classes(self):
        """Set `n_components_`; the class of each component as an index, -1 for those that no label names."""
        self.n_components_ = max(self.n_components, len(self.classes_))
        component_class = np.full(self.n_components_, -1)
        component_class[: len(self.classes_)] = np.arange(len(self.classes_))
        return component_class

    def _given_responsibilities(self, n_samples, component_class):
        """`init_params` as an array of shape (N, K), None where it is a name or a callable."""
        if isinstance(self.init_params, str) or callable(self.init_params):
            return None
        resp = check_array(self.init_params, dtype=np.float64, input_name="init_params")
        expected = (n_samples, len(component_class))
        if resp.shape != expected or (resp < 0).any() or not (resp.sum(1) > 0).all():
            raise ValueError(
                "init_params as an array must hold non-negative responsibilities, rows not all zero, of shape "
                f"(n_samples, n_components) = {expected}; got shape {resp.shape}."
            )
        return resp / resp.sum(1, keepdims=True)

    def _fit_rows(self, data, component_class):
        device, dtype = resolve_device(self.device), getattr(torch, self.dtype)
        random_state = check_random_state(self.random_state)
        continued = self.warm_start and hasattr(self, "mixture_")
        if continued:
            self._check_continuation(component_class)
        else:
            self._scaler = fit_scaler(data.X, data.weight)
        X = self._scaler.transform(data.X)
        training, validation = np.arange(len(X)), np.array([], dtype=int)
        if self.early_stopping:
            training, validation = validation_split(data.codes, self.validation_fraction, random_state)

        resp = None
        if continued:
            mixture = copy.deepcopy(self.mixture_).to(dtype)
            mixture.logits.requires_grad_(self.learn_weights)
        else:
            seeds = random_state.randint(np.iinfo(np.int32).max, size=self.n_init)
            started, resps = zip(*(self._start(X, data, component_class, seed, dtype) for seed in seeds), strict=True)
            mixture, resp = FlowMixture.stack(started), np.stack(resps, axis=1)
        allowed = None
        if len(self.classes_):
            allowed = (data.codes[:, None] == component_class) | (data.codes[:, None] < 0)
        rows = Rows(
            torch.as_tensor(X, dtype=dtype, device=device),
            torch.as_tensor(data.weight / data.weight.mean(), dtype=dtype, device=device),
            None if allowed is None else torch.as_tensor(allowed, device=device),
            None if resp is None else torch.as_tensor(resp, dtype=dtype, device=device),
        )
        neighbors, neighbor_scale = nearest_neighbors(X[training], data.codes[training], random_state)
        scores, self.converged_, history = SOLVERS[self.solver](
            mixture.to(device),
            rows[training],
            self._training_options(len(training), neighbor_scale, continued),
            objective=self._objective(),
            validation=rows[validation] if len(validation) else None,
            neighbors=torch.as_tensor(neighbors, device=device),
            generator=seeded_generator(random_state.randint(np.iinfo(np.int32).max), device),
        )
        self._keep_restart(mixture, int(np.argmax(scores)), scores, history)
        self._architecture = self._architecture_of(component_class)

    def _objective(self):
        return Objective(
            supervised_weight=self.supervised_weight,
            unlabelled_weight=self.unlabelled_weight,
            consistency_weight=self.consistency_weight,
        )

    def _start(self, X, data, component_class, seed, dtype):
        """First responsibilities, and a mixture whose components are their Gaussians."""
        resp = first_responsibilities(self.init_params, X, data, component_class, np.random.RandomState(seed))
        n_components, n_features = resp.shape[1], X.shape[1]
        generator = seeded_generator(seed, "cpu")
        flow = make_flow(
            self.flow,
            n_components,
            n_features,
            n_layers=self.n_layers,
            hidden_layer_sizes=tuple(self.hidden_layer_sizes),
            reg_covar=self.reg_covar,
            generator=generator,
        )
        posterior = None
        if self.posterior == "amortized":
            sizes = tuple(self.hidden_layer_sizes)
            posterior = PosteriorNetwork(n_features, n_components, hidden_layer_sizes=sizes, generator=generator)
        base = BASES[self.base](n_components, n_features)
        mixture = FlowMixture(flow, base, n_components, posterior=posterior).to(dtype)
        mixture.initialize(torch.as_tensor(X, dtype=dtype), torch.as_tensor(resp * data.weight[:, None], dtype=dtype))
        self._set_weights(mixture)
        return mixture, resp

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

    def _architecture_of(self, component_class):
        """What a mixture must have in common with another to go on from its parameters."""
        return {
            "n_components": len(component_class),
            "n_features": self.n_features_in_,
            "flow": self.flow,
            "n_layers": self.n_layers,
            "hidden_layer_sizes": tuple(self.hidden_layer_sizes),
            "base": self.base,
            "posterior": self.posterior,
        }

    def _check_continuation(self, component_class):
        wanted = self._architecture_of(component_class)
        if wanted != self._architecture:
            changed = [name for name in wanted if wanted[name] != self._architecture[name]]
            raise ValueError(
                f"warm_start=True goes on from a fitted mixture that differs in {', '.join(changed)}; "
                f"it has {self._architecture}."
            )

    def _training_options(self, n_rows, neighbor_scale, continued):
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = n_rows if n_rows <= _FULL_BATCH else min(max(_SMALL_BATCH, n_rows // 32), _LARGE_BATCH)
        ramps = not continued and (self.posterior == "amortized" or self.consistency_weight > 0)
        return TrainingOptions(
            max_iter=self.max_iter,
            ramp_iter=-(-self.max_iter // _RAMP_SHARE) if ramps else 0,
            batch_size=batch_size,
            learning_rate=self.learning_rate_init,
            alpha=self.alpha,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            noise=float(np.sqrt(self.reg_covar)),
            neighbor_noise=_NEIGHBOR_NOISE * neighbor_scale,
            verbose=bool(self.verbose),
        )

    def _keep_restart(self, mixture, best, scores, history):
        """Set the fitted attributes from one of the restarts."""
        self.mixture_ = mixture.restart(best).double()
        self.weights_ = self.mixture_.log_weights().exp().squeeze(0).detach().cpu().numpy()
        self.history_ = history
        phases = [history] if history.warm_up is None else [history.warm_up, history]
        self.n_iter_ = sum(len(phase.training_score) for phase in phases)
        to_units_of_x = -np.log(self._scaler.scale_).sum()
        self.lower_bound_ = scores[best] + to_units_of_x
        score_history = history.validation_score or history.training_score
        self.lower_bounds_ = [score[best] + to_units_of_x for score in score_history]
        if any(phase.interrupted for phase in phases):
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


def _check_layer_sizes(sizes):
    if not all(isinstance(size, (int, np.integer)) and size >= 1 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must hold positive integers; got {sizes!r}.")


def _non_negative_weights(sample_weight, X):
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError("sample_weight must not hold negative weights.")
    if not (weight > 0).any():
        raise ValueError("sample_weight must hold at least one positive weight.")
    return weight
