"""Before a fit begins: the scale of the features, how many components there are, and what each stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .architecture import architecture_of, check_continuation, check_number_of_flows, number_of_shared_layers
from .class_noise import units_of_classes
from .labels import UNLABELLED
from .scaling import FeatureScaler
from .start import INITIALIZERS


@dataclass(frozen=True)
class Plan:
    """What is settled before a fit begins.

    Attributes
    ----------
    scaler : FeatureScaler
    n_components : int
        As the parameter is meant: the classifier's is per class.
    component_class : int ndarray of shape (K,)
        Which of the sorted classes each component stands for, -1 for those that no label names.
    slots : int ndarray
        Which of those the mixture has, in its order: all, but where it goes on from one that was pruned. Its order is
        that of the training set's codes, so that names of classes decide nothing.
    initializer : callable, or None
        What gives first responsibilities; None where they are given.
    architecture : dict
        As from `architecture.architecture_of`.
    noise : ndarray of shape (D,), or None
        Variance of the noise that rows have in training, scaled; None but for what `reg_covar` says.
    n_components_scores : dict, list or None
        How well each number of components does, where it was to be found.
    """

    scaler: FeatureScaler
    n_components: int
    component_class: np.ndarray
    slots: np.ndarray
    initializer: Callable | None
    architecture: dict
    noise: np.ndarray | None = None
    n_components_scores: dict | list | None = None


def make_plan(data, settings, recipe, before, random_state):
    """The plan of a fit.

    Parameters
    ----------
    data : TrainingSet
    settings : Settings
    recipe : Recipe
    before : FittedMixture, or None
        What a warm start goes on from.
    random_state : RandomState

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If settings or rows do not fit each other, or not those of the fit before.
    """
    n_components, scores, initializer = settings.n_components, None, _initializer(data, settings, recipe)
    if before is not None:
        scaler, noise = before.plan.scaler, before.plan.noise
        if n_components == "auto":
            n_components, scores = before.plan.n_components, before.plan.n_components_scores
    else:
        scaler, noise = FeatureScaler.of(data.X, data.weight), None
        if recipe.tells_classes:
            scaler, noise = units_of_classes(scaler, data, random_state)
        if n_components == "auto":
            n_components, scores, resp = recipe.count(scaler.transform(data.X), data, random_state)
            if resp is not None and settings.init_params == "auto":
                initializer = lambda *_: resp  # noqa: E731
    component_class = recipe.component_classes(n_components, len(data.classes))
    check_number_of_flows(settings, len(component_class))
    size = len(component_class), data.X.shape[1]
    n_shared_layers = number_of_shared_layers(settings, data.weight.sum(), *size)
    if before is not None and settings.n_shared_layers == "auto":
        n_shared_layers = before.plan.architecture["n_shared_layers"]
    architecture = architecture_of(settings, *size, n_shared_layers)
    slots = _in_order_of_codes(component_class, data.order)
    if before is not None:
        check_continuation(architecture, before.plan.architecture)
        scaler.check_same_units(FeatureScaler.of(data.X, data.weight))
        _check_same_classes(before.classes, data.classes)
        slots = before.slots
    return Plan(scaler, n_components, component_class, slots, initializer, architecture, noise, scores)


def _in_order_of_codes(component_class, order):
    """Components that stand for sorted classes, in the order in which codes have those; each code has as many."""
    slots = np.arange(len(component_class))
    for code, place in enumerate(order):
        slots[component_class == code] = np.flatnonzero(component_class == place)
    return slots


def codes_of_components(plan, data):
    """The code of the training set that each component of the mixture stands for, -1 for none."""
    places = plan.component_class[plan.slots]
    return np.append(np.argsort(data.order), UNLABELLED)[places] if len(data.order) else places


def _check_same_classes(before, now):
    """Raise a ValueError where labels name other classes than those that components stand for."""
    if len(before) and len(now) and not np.array_equal(before, now):
        raise ValueError(
            f"warm_start=True goes on from a fit with the classes {before.tolist()}; y has {now.tolist()}."
        )


def _initializer(data, settings, recipe):
    if settings.gives_responsibilities:
        return None
    if callable(settings.init_params):
        return settings.init_params
    if settings.init_params == "auto":
        return recipe.automatic(len(data.classes))
    return INITIALIZERS[settings.init_params]
