"""A fit of an autoencoder of rows with classes, from rows, labels and settings: units, networks, training."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.utils import check_random_state

from ..bridge import device_of_rows, in_double, resolve_device, seeded_generator
from ..fitting.labels import encode_classes
from ..fitting.rows import effective_weights, merge_repeated_rows, validation_splits
from ..modules.labelled_autoencoder import LabelledAutoencoder
from ..modules.weight_noise import seed_weight_noise
from ..training import QUIET, History, train
from .architecture import linear_layer, new_autoencoder, new_network, own_noise_of_modules
from .batches import binarized, draw_noise
from .fit import new_seed, training_options
from .labelled_batches import LabelledBatches, LabelledRows
from .labelled_fitted import FittedLabelledAutoencoder
from .labelled_objective import LabelledObjective
from .objective import BoundObjective
from .settings import check_autoencoder_settings
from .spreading import spread_labels
from .units import UNITS, fitting_likelihood

_SUPERVISED_WEIGHT = 0.1
_FEWEST_LABELS_HELD_OUT = 50


def fit_labelled_autoencoder(settings, table, *, report=QUIET):
    """Fit an autoencoder to rows some of which have labels.

    Parameters
    ----------
    settings : LabelledAutoencoderSettings
    table : Table
        Of `fitting.rows`.
    report : Report, default=QUIET

    Returns
    -------
    FittedLabelledAutoencoder

    Raises
    ------
    ValueError
        If settings do not fit each other, labels are no labels, or rows are not what a likelihood asks for.
    """
    check_autoencoder_settings(settings)
    random_state = check_random_state(settings.random_state)
    device = resolve_device(settings.device)
    rows = distinct_rows(table)
    likelihood = fitting_likelihood(rows.X) if settings.likelihood == "auto" else settings.likelihood
    units = UNITS[likelihood](rows.X, rows.weight)
    model = new_model(settings, likelihood, units, rows, new_seed(random_state)).to(device)
    data = LabelledData.of(settings, units, rows, likelihood, device, random_state)
    seed_weight_noise(model, seeded_generator(new_seed(random_state), device))
    bound = BoundObjective(settings.free_bits, settings.kl_warm_up_iter > 0, len(data.rows[0]))

    def current(iteration):
        as_it_is, score = in_double(copy.deepcopy(model)).eval(), iteration.score[0]
        return [FittedLabelledAutoencoder(as_it_is, rows.classes, likelihood, units, 0, score, False, History())]

    report.show(current)
    with own_noise_of_modules(settings, device, random_state):
        score, converged, history = train(
            model,
            data.batches(settings, model),
            training_options(settings),
            objective=LabelledObjective(bound, supervised_weight(settings, rows), settings.spreading_weight),
            validation=data.held_out(settings, model),
            report=report,
        )
    seed = new_seed(random_state)
    return FittedLabelledAutoencoder(
        in_double(model), rows.classes, likelihood, units, seed, score[0], converged, history
    )


def distinct_rows(table):
    """The rows that count, with codes of their classes, which are in the order of the codes; a `TrainingSet`."""
    X, y, weight = table
    used = weight > 0
    classes, codes = encode_classes(y[used], used.sum())
    rows = merge_repeated_rows(X[used], codes, weight[used])
    return replace(rows, classes=classes[rows.order], weight=effective_weights(rows.weight))


def new_model(settings, likelihood, units, rows, seed):
    """A `LabelledAutoencoder` on the CPU, in the settings' type."""
    n_classes, n_features = len(rows.classes), rows.X.shape[1]
    autoencoder = new_autoencoder(settings, likelihood, units, n_features, seed, n_condition=n_classes)
    generator = seeded_generator(seed + 1, "cpu")
    sizes = n_features, settings.hidden_layer_sizes
    linear = {"make_linear": linear_layer(settings.dropout)}
    classifier = new_network(settings.classifier, *sizes, generator, "classifier", n_classes, **linear)
    known = rows.codes >= 0
    counts = np.bincount(rows.codes[known], rows.weight[known], minlength=n_classes) + 1
    model = LabelledAutoencoder(autoencoder, classifier, torch.from_numpy(counts / counts.sum()))
    return model.to(getattr(torch, settings.dtype))


def supervised_weight(settings, rows):
    """Number alpha; "auto" is a tenth of the rows for each labelled row, .1 N / N_labelled (arXiv:1406.5298)."""
    if settings.supervised_weight != "auto":
        return float(settings.supervised_weight)
    return float(_SUPERVISED_WEIGHT * rows.weight.sum() / rows.weight[rows.codes >= 0].sum())


def split_rows(codes, settings, random_state):
    """Indices of rows to learn from, and of those to hold out; few labels are too few for some to be held out."""
    training, known = np.arange(len(codes)), codes >= 0
    if not settings.early_stopping:
        return training, training[:0]
    candidates = training
    if not known.all() and settings.validation_fraction * known.sum() < _FEWEST_LABELS_HELD_OUT:
        candidates = training[~known]
    ((_, validation),) = validation_splits(codes[candidates], settings.validation_fraction, 1, random_state)
    return np.setdiff1d(training, candidates[validation]), candidates[validation]


@dataclass(frozen=True)
class LabelledData:
    """Rows to learn from and rows that are held out, in the units of a model.

    Attributes
    ----------
    rows, validation : tuple of Tensor
        Rows (N, D), codes (N,), weights (N,) and guesses (N,); the second may be empty.
    binarizes : bool
        Whether rows to learn from are drawn anew for every batch.
    seed : int
    """

    rows: tuple
    validation: tuple
    binarizes: bool
    seed: int

    @classmethod
    def of(cls, settings, units, rows, likelihood, device, random_state):
        """Rows, split, and drawn as zeros and ones once, where that is asked for."""
        training, validation = split_rows(rows.codes, settings, random_state)
        x = torch.as_tensor(units.inner(rows.X)[0], dtype=getattr(torch, settings.dtype))
        draws = likelihood == "bernoulli" and settings.binarize is not None and bool(((x > 0) & (x < 1)).any())
        if draws:
            fixed = slice(None) if settings.binarize == "fixed" else torch.from_numpy(validation)
            x[fixed] = binarized(x[fixed], seeded_generator(new_seed(random_state), "cpu"))
        place = device_of_rows(x.nbytes, device)
        guess = spread_labels(rows.X, rows.codes) if settings.spreading_weight else rows.codes
        weight = torch.as_tensor(rows.weight, dtype=x.dtype)
        columns = x, torch.from_numpy(rows.codes), weight, torch.from_numpy(guess)
        learned, held_out = (tuple(column[index].to(place) for column in columns) for index in (training, validation))
        return cls(learned, held_out, draws and settings.binarize == "batch", new_seed(random_state))

    def batches(self, settings, model):
        """Where the batches of steps come from."""
        shape = settings.n_importance_draws, model.autoencoder.encoder.n_noise
        generator = seeded_generator(self.seed, self.rows[0].device)
        x, codes, weight, guess = self.rows
        return LabelledBatches(x, codes, weight, guess, *shape, settings.rows_of_a_batch, self.binarizes, generator)

    def held_out(self, settings, model):
        """What decides, with noise of its own; None where no row is held out."""
        x, codes, weight, guess = self.validation
        if not len(x):
            return None
        generator = seeded_generator(self.seed + 1, x.device)
        noise = draw_noise(x, settings.n_importance_draws, model.autoencoder.encoder.n_noise, generator)
        return LabelledRows(x, noise, codes, weight, guess)
