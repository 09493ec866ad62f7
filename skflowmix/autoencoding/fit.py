"""A fit, from rows and settings to an autoencoder: units, networks, training, and a prior of flows if asked for."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.utils import check_random_state

from ..bridge import device_of_rows, in_double, resolve_device, seeded_generator
from ..fitting.rows import validation_splits
from ..modules.weight_noise import seed_weight_noise
from ..training import QUIET, History, TrainingOptions, train
from .architecture import new_autoencoder, own_noise_of_modules
from .batches import Observed, ObservedBatches, binarized, draw_noise
from .fitted import FittedAutoencoder
from .objective import BoundObjective
from .prior import start_prior
from .settings import check_autoencoder_settings
from .units import UNITS, fitting_likelihood

_SHARE_BEFORE_THE_PRIOR = 0.25


def fit_autoencoder(settings, X, *, report=QUIET):
    """Fit an autoencoder to rows.

    Parameters
    ----------
    settings : AutoencoderSettings
    X : ndarray of shape (N, D)
        Finite.
    report : Report, default=QUIET

    Returns
    -------
    FittedAutoencoder

    Raises
    ------
    ValueError
        If settings do not fit each other, or the rows are not what a likelihood asks for.
    """
    check_autoencoder_settings(settings)
    random_state = check_random_state(settings.random_state)
    device = resolve_device(settings.device)
    likelihood = fitting_likelihood(X) if settings.likelihood == "auto" else settings.likelihood
    units = UNITS[likelihood](X)
    model = new_autoencoder(settings, likelihood, units, X.shape[1], new_seed(random_state)).to(device)
    data = Data.of(settings, units, X, likelihood, device, random_state)
    check_prior(settings, data)
    seed_weight_noise(model, seeded_generator(new_seed(random_state), device))

    def current(iteration):
        as_it_is = in_double(copy.deepcopy(model)).eval()
        score = iteration.score[0] + data.log_det
        return [FittedAutoencoder(as_it_is, likelihood, units, data.seed, score, False, History())]

    report.show(current)
    with own_noise_of_modules(settings, device, random_state):
        score, converged, history = _train(settings, model, data, random_state, report)
    return FittedAutoencoder(
        in_double(model), likelihood, units, new_seed(random_state), score[0] + data.log_det, converged, history
    )


def _train(settings, model, data, random_state, report):
    """Train a model; a prior of flows comes in after a share of the iterations, and needs no warm-up then."""
    options, what = training_options(settings), {"validation": data.held_out(settings, model), "report": report}
    objective = BoundObjective(settings.free_bits, settings.kl_warm_up_iter > 0, len(data.x))
    source = data.batches(settings, model)
    if settings.prior == "normal":
        return train(model, source, options, objective=objective, **what)
    warm_up, n_before = History(), int(_SHARE_BEFORE_THE_PRIOR * settings.max_iter)
    if n_before:
        before = replace(options, max_iter=n_before, n_step_sizes=1)
        score, _, warm_up = train(model, source, before, objective=objective, phase="warm-up", **what)
    model.prior = start_prior(settings, model, data.x, random_state)
    if warm_up.interrupted:
        return score, False, warm_up
    after = replace(options, max_iter=settings.max_iter - warm_up.n_iter, ramp_iter=0)
    score, converged, history = train(model, source, after, objective=replace(objective, warms_up=False), **what)
    if n_before:
        history.follow(warm_up)
    return score, converged, history


def check_prior(settings, data):
    """Raise a ValueError where a prior of flows has more components than there are rows to learn from."""
    if settings.prior == "flow-mixture" and settings.n_components > len(data.x):
        raise ValueError(
            f"n_components={settings.n_components} of prior='flow-mixture' is more than the {len(data.x)} rows to "
            f"learn from; {len(data.validation)} others are held out."
        )


def new_seed(random_state):
    """A seed for a generator of torch's, drawn from a RandomState."""
    return random_state.randint(np.iinfo(np.int32).max)


def training_options(settings):
    """How to train, as settings say."""
    return TrainingOptions(
        max_iter=settings.max_iter,
        ramp_iter=settings.kl_warm_up_iter,
        learning_rate=settings.learning_rate_init,
        alpha=settings.alpha,
        optimizer=settings.optimizer,
        averaging=settings.averaging,
        n_iter_no_change=settings.n_iter_no_change,
        tol=settings.tol,
    )


@dataclass(frozen=True)
class Data:
    """Rows to learn from and rows that are held out, in the units of a model.

    Attributes
    ----------
    x, validation : Tensor of shape (N, D)
        The second may be empty.
    log_det : float
        Mean logarithm of what densities of the rows that decide are to be multiplied by.
    binarizes : bool
        Whether rows to learn from are drawn anew for every batch.
    seed : int
    """

    x: torch.Tensor
    validation: torch.Tensor
    log_det: float
    binarizes: bool
    seed: int

    @classmethod
    def of(cls, settings, units, X, likelihood, device, random_state):
        """Rows, split, and drawn as zeros and ones once, where that is asked for."""
        training, validation = np.arange(len(X)), np.array([], dtype=int)
        if settings.early_stopping:
            unlabelled = np.full(len(X), -1)
            ((training, validation),) = validation_splits(unlabelled, settings.validation_fraction, 1, random_state)
        x, log_det = units.inner(X)
        x = torch.as_tensor(x, dtype=getattr(torch, settings.dtype))
        draws = likelihood == "bernoulli" and settings.binarize is not None and bool(((x > 0) & (x < 1)).any())
        if draws and settings.binarize == "fixed":
            x = binarized(x, seeded_generator(new_seed(random_state), "cpu"))
        elif draws and len(validation):
            x[validation] = binarized(x[validation], seeded_generator(new_seed(random_state), "cpu"))
        place = device_of_rows(x.nbytes, device)
        deciding = validation if len(validation) else training
        return cls(
            x[training].to(place),
            x[validation].to(place),
            float(log_det[deciding].mean()),
            draws and settings.binarize == "batch",
            new_seed(random_state),
        )

    def batches(self, settings, model):
        """Where the batches of steps come from."""
        return ObservedBatches(
            self.x,
            settings.n_importance_draws,
            model.encoder.n_noise,
            settings.rows_of_a_batch,
            self.binarizes,
            seeded_generator(self.seed, self.x.device),
        )

    def held_out(self, settings, model):
        """What decides, with noise of its own; None where no row is held out."""
        if not len(self.validation):
            return None
        generator = seeded_generator(self.seed + 1, self.x.device)
        noise = draw_noise(self.validation, settings.n_importance_draws, model.encoder.n_noise, generator)
        return Observed(self.validation, noise)
