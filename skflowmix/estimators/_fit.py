"""Fitting, as all estimators do it."""

import copy
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d, validate_data

from ..bridge import device_of_rows, resolve_device, seeded_generator
from ..initialization.n_components import choose_n_components
from ..mixture import FlowMixture
from ..training import SOLVERS, History, Objective, Rows, TrainingOptions, compiled, e_step, evaluate, plain_copy
from ._architecture import FlowMixtureArchitecture
from ._labels import encode_labels
from ._pruning import prune
from ._rows import fit_scaler, merge_repeated_rows, nearest_neighbors, validation_split

_FULL_BATCH = 512
_SMALL_BATCH, _LARGE_BATCH = 256, 1024
_NEIGHBOR_NOISE = 0.5
_RAMP_SHARE = 20


@dataclass(frozen=True)
class _State:
    """A mixture of one restart, its score, the bounds of its restart, and how it was found."""

    mixture: FlowMixture
    score: float
    bounds: list
    converged: bool
    history: History


class FlowMixtureFit(FlowMixtureArchitecture):
    """From parameters and rows to a fitted mixture."""

    _n_components: int
    mixture_: FlowMixture
    n_components_scores_: dict | list
    _seeks_clusters = False

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
            if hasattr(self, "n_components_scores_"):
                del self.n_components_scores_
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
        if continued:
            mixture, resp = copy.deepcopy(self.mixture_).to(dtype), None
            mixture.logits.requires_grad_(self.learn_weights)
        else:
            seeds = random_state.randint(np.iinfo(np.int32).max, size=self.n_init)
            start = partial(self._start, init_params, X, data, component_class, dtype)
            started, resps = zip(*map(start, seeds), strict=True)
            mixture, resp = FlowMixture.stack(started), np.stack(resps, axis=1)
        rows = self._to_rows(X, data, component_class[self._slots], resp, dtype)
        mixture, home = mixture.to(device), self._device_of_rows(rows, device)
        rows = rows.each(lambda column: column.to(home))
        neighbors, neighbor_scale = nearest_neighbors(X[training], data.codes[training], random_state)
        options = self._training_options(len(training), neighbor_scale, continued)
        how = {
            "validation": rows[validation] if len(validation) else None,
            "neighbors": torch.as_tensor(neighbors, device=home),
            "generator": seeded_generator(random_state.randint(np.iinfo(np.int32).max), home),
        }
        solve = partial(self._solve, options, self._objective(data.weight[training].sum()), random_state)
        state = solve(mixture, rows[training], how)
        if self._prunes() and how["validation"] is not None:
            state = self._without_needless(state, component_class, rows[training], options, random_state, how, solve)
        self._keep(state, len(component_class))
        self._architecture = self._architecture_of(component_class)

    def _device_of_rows(self, rows, device):
        """As `bridge.device_of_rows`; pruning begins new flows with all rows at once."""
        return device if self._prunes() else device_of_rows(rows.nbytes, device)

    def _to_rows(self, X, data, component_class, resp, dtype):
        """Standardised rows of a training set as tensors."""
        allowed = None
        if len(self.classes_):
            allowed = (data.codes[:, None] == component_class) | (data.codes[:, None] < 0)
        return Rows(
            torch.as_tensor(X).to(dtype),
            torch.as_tensor(data.weight / data.weight.mean()).to(dtype),
            None if allowed is None else torch.as_tensor(allowed),
            None if resp is None else torch.as_tensor(resp).to(dtype),
        )

    def _without_needless(self, state, component_class, rows, options, random_state, how, solve):
        """The state that is reached without the components that `prune` removes."""
        seed, n_features = random_state.randint(np.iinfo(np.int32).max), rows.x.shape[1]
        mixture, kept = prune(
            state.mixture,
            rows,
            options=options,
            make_flows=partial(self._make_flows, n_features=n_features, seed=seed),
            concentration=self.weight_concentration_prior,
            component_class=component_class[self._slots],
            random_state=random_state,
            **how,
        )
        if len(kept) == len(self._slots):
            return state
        self._slots = self._slots[kept]
        mixture.posterior = self._make_posterior(len(kept), n_features, seed)
        learned, validation = (e_step(mixture, part.of_components(kept))[1] for part in (rows, how["validation"]))
        return solve(mixture.to(rows.x), learned, how | {"validation": validation})

    def _solve(self, options, objective, random_state, mixture, rows, how):
        """Train a stack of restarts, and choose one of the states that they went through."""
        early = []
        with compiled(mixture.flow) if self.compile else nullcontext():
            scores, converged, history = SOLVERS[self.solver](
                mixture,
                rows,
                options,
                objective=objective,
                after_warm_up=(lambda mixture: early.append(plain_copy(mixture))) if self._seeks_clusters else None,
                **how,
            )
        n_restarts = mixture.n_restarts
        for mixture_then in early:
            scores += evaluate(mixture_then, how["validation"] or rows, objective).tolist()
        states = FlowMixture.stack([mixture, *early])
        best = self._best_state(states, np.array(scores), n_restarts, rows, random_state)
        bounds = [bound[best % n_restarts] for bound in history.bounds]
        return _State(states.restart(best), scores[best], bounds, converged, history)

    def _best_state(self, states, scores, n_restarts, rows, random_state):
        """Index of a state: those at the end of each restart come first, after them those at the end of its warm-up."""
        return int(np.argmax(scores[:n_restarts]))

    def _objective(self, n_rows):
        concentration = self.weight_concentration_prior
        return Objective(
            supervised_weight=self.supervised_weight,
            unlabelled_weight=self.unlabelled_weight,
            consistency_weight=self.consistency_weight,
            log_weight_factor=0.0 if concentration is None else (concentration - 1) / n_rows,
            start_weight=self.supervised_weight if self._seeks_clusters and not len(self.classes_) else 0.0,
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

    def _keep(self, state, n_components):
        """Set the fitted attributes."""
        history, to_units_of_x = state.history, -np.log(self._scaler.scale_).sum()
        self.mixture_ = state.mixture.double()
        self.weights_ = np.zeros(n_components)
        self.weights_[self._slots] = self.mixture_.log_weights().exp().squeeze(0).detach().cpu().numpy()
        self.n_components_ = len(self._slots)
        self.history_, self.n_iter_, self.converged_ = history, history.n_iter, state.converged
        self.lower_bound_ = state.score + to_units_of_x
        self.lower_bounds_ = [bound + to_units_of_x for bound in state.bounds]
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
