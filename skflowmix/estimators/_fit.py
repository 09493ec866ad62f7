"""Fitting, as all estimators do it."""

import copy
import warnings
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d, validate_data

from ..bases import BASES
from ..bridge import resolve_device, seeded_generator
from ..flows import PRESETS, make_flow, make_shared_layers
from ..mixture import FlowMixture
from ..posterior import PosteriorNetwork
from ..training import SOLVERS, Objective, Rows, TrainingOptions, compiled, e_step
from ._labels import encode_labels
from ._parameters import FlowMixtureParameters
from ._pruning import prune
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
        self._check_solver()
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
        self._check_architecture()
        resp = self._given_responsibilities(len(X), component_class)
        data = merge_repeated_rows(X[used], codes, weight[used], None if resp is None else resp[used])
        if len(data.X) < 2:
            raise ValueError(f"Found {len(data.X)} distinct row(s) of positive weight; at least 2 are required.")
        self._fit_rows(data, component_class)
        return self

    def _check_solver(self):
        if self.solver == "gradient":
            return
        if self.posterior != "exact":
            raise ValueError(
                f"solver={self.solver!r} takes the exact posterior in its E-step; got posterior={self.posterior!r}."
            )
        if self.consistency_weight:
            raise ValueError(
                f"solver={self.solver!r} maximises the joint likelihood alone; got "
                f"consistency_weight={self.consistency_weight!r}."
            )

    def _check_architecture(self):
        if self._prunes() and not (isinstance(self.flow, str) and self.early_stopping and self.learn_weights):
            raise ValueError(
                "weight_concentration_prior below 1 prunes components by held-out rows: it requires "
                "early_stopping=True, learn_weights=True and one name for flow."
            )
        if self.n_shared_layers > self.n_layers:
            raise ValueError(f"n_shared_layers={self.n_shared_layers} is more than n_layers={self.n_layers}.")
        if isinstance(self.flow, str):
            return
        unknown = [name for name in self.flow if name not in PRESETS]
        if unknown or len(self.flow) != self.n_components_:
            raise ValueError(
                f"flow as a list must name one of {sorted(PRESETS)} for each of the {self.n_components_} components; "
                f"got {self.flow!r}."
            )
        if self.n_shared_layers:
            raise ValueError("n_shared_layers > 0 requires that all components have one flow: a name, not a list.")

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
            self._slots = np.arange(len(component_class))
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
        allowed, slot_class = None, component_class[self._slots]
        if len(self.classes_):
            allowed = (data.codes[:, None] == slot_class) | (data.codes[:, None] < 0)
        rows = Rows(
            torch.as_tensor(X, dtype=dtype, device=device),
            torch.as_tensor(data.weight / data.weight.mean(), dtype=dtype, device=device),
            None if allowed is None else torch.as_tensor(allowed, device=device),
            None if resp is None else torch.as_tensor(resp, dtype=dtype, device=device),
        )
        neighbors, neighbor_scale = nearest_neighbors(X[training], data.codes[training], random_state)
        options = self._training_options(len(training), neighbor_scale, continued)
        how = {
            "validation": rows[validation] if len(validation) else None,
            "neighbors": torch.as_tensor(neighbors, device=device),
            "generator": seeded_generator(random_state.randint(np.iinfo(np.int32).max), device),
        }
        solve = partial(self._solve, options=options, objective=self._objective(data.weight[training].sum()))
        scores, self.converged_, history = solve(mixture.to(device), rows[training], **how)
        if self._prunes():
            seed = random_state.randint(np.iinfo(np.int32).max)
            pruned, kept = prune(
                mixture.restart(int(np.argmax(scores))),
                rows[training],
                options=options,
                make_flows=partial(self._make_flows, n_features=X.shape[1], seed=seed),
                concentration=self.weight_concentration_prior,
                component_class=slot_class,
                random_state=random_state,
                **how,
            )
            if len(kept) < len(slot_class):
                self._slots = self._slots[kept]
                parts = (rows[training], how["validation"])
                learned, how["validation"] = (e_step(pruned, part.of_components(kept))[1] for part in parts)
                mixture = pruned
                mixture.posterior = self._make_posterior(len(kept), X.shape[1], seed)
                scores, self.converged_, history = solve(mixture.to(rows.x), learned, **how)
        self._keep_restart(mixture, int(np.argmax(scores)), scores, history)
        self._architecture = self._architecture_of(component_class)

    def _solve(self, mixture, rows, **how):
        with compiled(mixture.flow) if self.compile else nullcontext():
            return SOLVERS[self.solver](mixture, rows, **how)

    def _objective(self, n_rows):
        concentration = self.weight_concentration_prior
        return Objective(
            supervised_weight=self.supervised_weight,
            unlabelled_weight=self.unlabelled_weight,
            consistency_weight=self.consistency_weight,
            log_weight_factor=0.0 if concentration is None else (concentration - 1) / n_rows,
        )

    def _prunes(self):
        return self.weight_concentration_prior is not None and self.weight_concentration_prior < 1

    def _start(self, X, data, component_class, seed, dtype):
        """First responsibilities, and a mixture whose components are their Gaussians."""
        resp = first_responsibilities(self.init_params, X, data, component_class, np.random.RandomState(seed))
        n_components, n_features = resp.shape[1], X.shape[1]
        flow, base = self._make_flows(n_components, n_features, seed)
        shared = make_shared_layers(self.flow, n_features, **self._sizes(seed)) if self.n_shared_layers else None
        posterior = self._make_posterior(n_components, n_features, seed)
        mixture = FlowMixture(flow, base, n_components, shared=shared, posterior=posterior).to(dtype)
        mixture.initialize(torch.as_tensor(X, dtype=dtype), torch.as_tensor(resp * data.weight[:, None], dtype=dtype))
        self._set_weights(mixture)
        return mixture, resp

    def _make_flows(self, n_components, n_features, seed):
        """Flows and base of components that nothing has been learned for."""
        flow = make_flow(self.flow, n_components, n_features, reg_covar=self.reg_covar, **self._sizes(seed))
        return flow, BASES[self.base](n_components, n_features)

    def _make_posterior(self, n_components, n_features, seed):
        if self.posterior == "exact":
            return None
        sizes = tuple(self.hidden_layer_sizes)
        generator = seeded_generator(seed, "cpu")
        return PosteriorNetwork(n_features, n_components, hidden_layer_sizes=sizes, generator=generator)

    def _sizes(self, seed):
        return {
            "n_layers": self.n_layers,
            "n_shared_layers": self.n_shared_layers,
            "hidden_layer_sizes": tuple(self.hidden_layer_sizes),
            "generator": seeded_generator(seed, "cpu"),
        }

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
            "flow": self.flow if isinstance(self.flow, str) else list(self.flow),
            "n_layers": self.n_layers,
            "n_shared_layers": self.n_shared_layers,
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
        self.weights_ = np.zeros(self.n_components_)
        self.weights_[self._slots] = self.mixture_.log_weights().exp().squeeze(0).detach().cpu().numpy()
        self.n_components_ = len(self._slots)
        self.history_ = history
        self.n_iter_ = history.n_iter
        to_units_of_x = -np.log(self._scaler.scale_).sum()
        self.lower_bound_ = scores[best] + to_units_of_x
        self.lower_bounds_ = [score[best] + to_units_of_x for score in history.bounds]
        if history.interrupted or (history.warm_up is not None and history.warm_up.interrupted):
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
