"""Fitting, as all estimators do it."""

import copy
import warnings
from functools import partial

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d, validate_data

from ..bases import BASES
from ..bridge import resolve_device, seeded_generator
from ..flows import make_flow, make_shared_layers
from ..initialization.n_components import choose_n_components
from ..mixture import FlowMixture
from ..posterior import PosteriorNetwork
from ..training import SOLVERS, Objective, Rows, TrainingOptions, e_step
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

    _n_components: int

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
        self._check_combinations()
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        weight = _non_negative_weights(sample_weight, X)
        if y is not None:
            y = column_or_1d(y, warn=True)
            check_consistent_length(X, y)
        elif self.__sklearn_tags__().target_tags.required:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        used = weight > 0
        self.classes_, codes = self._encode_labels(None if y is None else y[used], used.sum())
        resp = self._given_responsibilities(len(X))
        data = merge_repeated_rows(X[used], codes, weight[used], None if resp is None else resp[used])
        if len(data.X) < 2:
            raise ValueError(f"Found {len(data.X)} distinct row(s) of positive weight; at least 2 are required.")
        self._fit_rows(data)
        return self

    _encode_labels = staticmethod(encode_labels)

    def _component_classes(self, n_components):
        """The class of each component as an index, -1 for those that no label names."""
        component_class = np.full(max(n_components, len(self.classes_)), -1)
        component_class[: len(self.classes_)] = np.arange(len(self.classes_))
        return component_class

    def _settle_components(self, data, continued, random_state):
        """The class of each component, and `init_params` for so many; a new fit's scaler is set."""
        n_components, init_params = self.n_components, self.init_params
        if continued and n_components == "auto":
            n_components = self._n_components
        elif not continued:
            self._scaler = fit_scaler(data.X, data.weight)
            if n_components == "auto":
                X = self._scaler.transform(data.X)
                n_components, self.n_components_scores_, init_params = self._choose_n_components(X, data, random_state)
            self._n_components = n_components
        component_class = self._component_classes(n_components)
        self._check_number_of_flows(len(component_class))
        if continued:
            self._check_continuation(component_class)
        else:
            self._slots = np.arange(len(component_class))
        return component_class, init_params

    def _choose_n_components(self, X, data, random_state):
        """The number of clusters, the scores of all candidates, and `init_params` for it."""
        resp, n_components, scores = choose_n_components(X, data.weight, random_state)
        return n_components, scores, (lambda *_: resp) if self.init_params == "auto" else self.init_params

    def _given_responsibilities(self, n_samples):
        """`init_params` as an array of shape (N, K), None where it is a name or a callable."""
        if not self._gives_responsibilities():
            return None
        resp = check_array(self.init_params, dtype=np.float64, input_name="init_params")
        expected = (n_samples, len(self._component_classes(self.n_components)))
        if resp.shape != expected or (resp < 0).any() or not (resp.sum(1) > 0).all():
            raise ValueError(
                "init_params as an array must hold non-negative responsibilities, rows not all zero, of shape "
                f"(n_samples, n_components) = {expected}; got shape {resp.shape}."
            )
        return resp / resp.sum(1, keepdims=True)

    def _fit_rows(self, data):
        device, dtype = resolve_device(self.device), getattr(torch, self.dtype)
        random_state = check_random_state(self.random_state)
        continued = self.warm_start and hasattr(self, "mixture_")
        component_class, init_params = self._settle_components(data, continued, random_state)
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
            start = partial(self._start, init_params, X, data, component_class, dtype)
            started, resps = zip(*map(start, seeds), strict=True)
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
        solve = partial(SOLVERS[self.solver], options=options, objective=self._objective(data.weight[training].sum()))
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
        self._keep_restart(mixture, len(component_class), int(np.argmax(scores)), scores, history)
        self._architecture = self._architecture_of(component_class)

    def _objective(self, n_rows):
        concentration = self.weight_concentration_prior
        return Objective(
            supervised_weight=self.supervised_weight,
            unlabelled_weight=self.unlabelled_weight,
            consistency_weight=self.consistency_weight,
            log_weight_factor=0.0 if concentration is None else (concentration - 1) / n_rows,
        )

    def _start(self, init_params, X, data, component_class, dtype, seed):
        """First responsibilities, and a mixture whose components are their Gaussians."""
        resp = first_responsibilities(init_params, X, data, component_class, np.random.RandomState(seed))
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

    def _keep_restart(self, mixture, n_components, best, scores, history):
        """Set the fitted attributes from one of the restarts."""
        self.mixture_ = mixture.restart(best).double()
        self.weights_ = np.zeros(n_components)
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


def _non_negative_weights(sample_weight, X):
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any():
        raise ValueError("sample_weight must not hold negative weights.")
    if not (weight > 0).any():
        raise ValueError("sample_weight must hold at least one positive weight.")
    return weight
