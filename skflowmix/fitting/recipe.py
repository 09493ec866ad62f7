"""What differs between clustering, density estimation and classification: a record of functions, one for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..partitions.automatic import automatic
from ..partitions.n_components import choose_n_components
from ..partitions.soft import soft
from .choice import best_evidence, best_score
from .labels import encode_classes, encode_labels
from .spreading import spread_labels


@dataclass(frozen=True)
class Recipe:
    """How a mixture is fitted for a purpose.

    Attributes
    ----------
    encode : callable
        ``(y, n_samples) -> classes, codes``, as `labels.encode_labels`.
    component_classes : callable
        ``(n_components, n_classes) -> int ndarray of shape (K,)``: class of each component of the mixture, -1 for those
        that no label names.
    automatic : callable
        ``(n_classes) -> function``: what ``init_params="auto"`` stands for.
    count : callable
        ``(X, data, random_state) -> n_components, scores, resp``: what ``n_components="auto"`` stands for, how well
        each number does, and first responsibilities, None where there are none to be had.
    counts_by_score : bool
        Whether it stands for that only where held-out rows cannot tell (see `number`).
    choose : callable
        Which of the states that a fit went through is kept, as `choice.best_score`.
    seeks_clusters : bool
        Whether the state at the end of the warm-up is one of them, and the start's clusters are its labels.
    holds_out_of_start : bool
        Whether the Gaussians that components start from know nothing of the rows that are held out.
    shrinks_noise : bool
        Whether rows are blurred across the ways to their neighbours as well, as far as that describes others better.
    tells_classes : bool
        Whether the classes are what is asked for, so that rows have the class that is guessed for them, and noise under
        which classes are told apart best.
    grows : bool
        Whether more classes than components make more components.
    """

    encode: Callable
    component_classes: Callable
    automatic: Callable
    count: Callable
    choose: Callable
    seeks_clusters: bool = False
    counts_by_score: bool = False
    holds_out_of_start: bool = False
    shrinks_noise: bool = False
    tells_classes: bool = False
    grows: bool = False


def _classes_first(n_components, n_classes):
    """Component i stands for class i; there are at least as many components as classes."""
    component_class = np.full(max(n_components, n_classes), -1)
    component_class[:n_classes] = np.arange(n_classes)
    return component_class


def _in_each_class(n_components, n_classes):
    return np.repeat(np.arange(n_classes), n_components)


def _count_clusters(X, data, random_state):
    resp, n_components, scores = choose_n_components(X, data.weight, random_state)
    return n_components, scores, resp


def _count_in_each_class(X, data, random_state):
    """The largest number that one of the classes needs."""
    of_class = spread_labels(X, data.codes, data.clusters)
    scores = [
        choose_n_components(X[of_class == code], data.weight[of_class == code], random_state)[-1]
        for code in range(len(data.classes))
    ]
    return max(max(of, key=of.__getitem__) for of in scores), [scores[code] for code in np.argsort(data.order)], None


CLUSTERING = Recipe(
    encode=encode_labels,
    component_classes=_classes_first,
    automatic=lambda n_classes: automatic,
    count=_count_clusters,
    choose=best_evidence,
    seeks_clusters=True,
    grows=True,
)
DENSITY = Recipe(
    encode=encode_labels,
    component_classes=_classes_first,
    automatic=lambda n_classes: automatic if n_classes else soft,
    count=_count_clusters,
    choose=best_score,
    holds_out_of_start=True,
    shrinks_noise=True,
    counts_by_score=True,
    grows=True,
)
CLASSIFICATION = Recipe(
    encode=encode_classes,
    component_classes=_in_each_class,
    automatic=lambda n_classes: soft,
    count=_count_in_each_class,
    choose=best_score,
    tells_classes=True,
)
