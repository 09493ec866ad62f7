r"""Labels of all rows from those of some: along a graph of neighbours, then by Gaussians that the graph may overrule.

A graph knows shapes but is noisy where classes touch; Gaussians with a common covariance know nothing of shapes, but
see all rows at once. Labels spread along the graph, the Gaussians learn from these guesses, and the two are weighed
against each other by a mean field,

.. math:: q_i(c) \propto p(c \mid x_i) \exp \Big( \beta \sum_j w_{ij} q_j(c) \Big),

in which a row follows unanimous neighbours unless the odds against them are more than :math:`e^\beta`. Where graph and
Gaussians agree on nearly all rows from the start the classes are such clusters, and the Gaussians are first fitted to
all rows by expectation-maximisation.

The graph has units of its own, in which neighbours differ by as much in every feature: a cluster far away makes a
deviation large, and next to it the classes would be near each other, but a difference of neighbours it leaves as it is
(metrics from differences of near rows are due to Art, Gnanadesikan and Kettenring, 1982, Utilitas Mathematica 21A).
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import cholesky, solve_triangular
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors

_N_NEIGHBORS = 7
_LEAST_TIE = 1e-3  # So that an outlier, which is nobody's neighbour, is not cut off from its own.
_UNIT_ROUNDS = 3
_REACHES = 0.9, 0.99
_ROUNDS_PER_REACH = 6.0
_FOLLOWING = 8.0
_FIELD_ROUNDS = 20
_AGREEMENT = 0.98
_EM_ROUNDS = 10
_RIDGE = 1e-2
_LEAST_SHARE = 1e-12
_CERTAIN = 0.95


class Guess(NamedTuple):
    """A class for every row.

    Attributes
    ----------
    classes : int ndarray of shape (N,)
    certainty : ndarray of shape (N,)
        Probability of that class; one where it was given.
    """

    classes: np.ndarray
    certainty: np.ndarray


def spread_labels(X, codes, clusters=None):
    """The classes of `guess_labels`, int ndarray of shape (N,)."""
    return guess_labels(X, codes, clusters).classes


def with_guesses(data, X):
    """A `TrainingSet` in which rows without a label have the class that is guessed for them, if that is certain."""
    classes, certainty = guess_labels(X, data.codes, data.clusters)
    return replace(data, codes=np.where(certainty > _CERTAIN, classes, data.codes))


def guess_labels(X, codes, clusters=None):
    """A class for every row: its own, or a guess.

    Parameters
    ----------
    X : ndarray of shape (N, D)
        Standardised rows.
    codes : int ndarray of shape (N,)
        Index of each row's class, -1 for unlabelled; each class has a row.
    clusters : int ndarray of shape (N,), default=None
        The class of each row, in place of what spreads along the graph.

    Returns
    -------
    Guess
    """
    if (codes >= 0).all():
        return Guess(codes, np.ones(len(codes)))
    given = _one_hot(codes, codes.max() + 1)
    near = X / neighbor_units(X)
    ties = _ties(near)
    spread = _decided(near, _spread(ties, given), codes) if clusters is None else clusters
    by_gaussians = _by_gaussians(X, spread, given)
    if np.mean(by_gaussians.argmax(1) == spread) >= _AGREEMENT:
        for _ in range(_EM_ROUNDS):
            by_gaussians = _by_gaussians(X, by_gaussians, given)
    q = _mean_field(ties, by_gaussians, _one_hot(spread, given.shape[1]), given)
    return Guess(q.argmax(1), q.max(1))


def _one_hot(codes, n_classes):
    return (codes[:, None] == np.arange(n_classes)).astype(float)


def _obeying(probabilities, given):
    return np.where(given.any(1, keepdims=True), given, probabilities)


def neighbor_units(X):
    """A unit of each feature, (D,): the median difference of neighbours, which are sought again in these units.

    Neighbours that agree in a feature, as in one of counts, do not tell its unit.
    """
    units = np.ones(X.shape[1])
    for _ in range(_UNIT_ROUNDS):
        _, neighbors = _nearest(X / units)
        units = np.array([_usual(np.abs(column[neighbors] - column[:, None])) for column in X.T])
    return units


def _usual(differences):
    different = differences[differences > 0]
    return max(np.median(different), np.finfo(float).eps) if len(different) else 1.0


def _nearest(X):
    """Distances and indices of each row's neighbours, (N, n)."""
    return NearestNeighbors(n_neighbors=min(_N_NEIGHBORS, len(X) - 1)).fit(X).kneighbors()


def _ties(X):
    """Symmetric weights between near rows, in units of their own neighbourhoods (Zelnik-Manor and Perona, 2004)."""
    distances, neighbors = _nearest(X)
    radius = np.maximum(distances[:, -1:], np.finfo(float).tiny)
    with np.errstate(over="ignore"):
        weights = np.maximum(np.exp(-(distances / radius) * (distances / radius[neighbors][:, :, 0])), _LEAST_TIE)
    rows = np.repeat(np.arange(len(X)), neighbors.shape[1])
    ties = sparse.csr_matrix((weights.ravel(), (rows, neighbors.ravel())), shape=(len(X), len(X)))
    return ties.maximum(ties.T)


def _spread(ties, given):
    """Scores of the classes, (N, n_classes), zero where no label reaches: label spreading of Zhou et al. (2004).

    The mean of a short and a long reach. Each class has in all what its share of the labels is (Zhu et al., 2003).
    """
    scale = _diagonal(np.asarray(ties.sum(1)).ravel() ** -0.5)
    normalized = (scale @ ties @ scale).tocsr()
    share = (given.sum(0) + 1) / (given.sum() + given.shape[1])
    total = np.zeros_like(given)
    for reach in _REACHES:
        scores = given
        for _ in range(round(_ROUNDS_PER_REACH / (1 - reach))):
            scores = reach * (normalized @ scores) + (1 - reach) * given
        scores = scores * share / scores.sum(0)
        total += scores / np.maximum(scores.sum(1, keepdims=True), np.finfo(float).tiny)
    return total


def _decided(X, scores, codes):
    """The best class of each row; of those that no label reaches, or two alike, that of the nearest decided row."""
    best, second = np.sort(np.column_stack([scores, np.zeros(len(X))]), axis=1)[:, :-3:-1].T
    decided = (codes >= 0) | (best > second)
    classes = np.where(codes >= 0, codes, scores.argmax(1))
    if not decided.all():
        nearest = NearestNeighbors(n_neighbors=1).fit(X[decided]).kneighbors(X[~decided], return_distance=False)
        classes[~decided] = classes[decided][nearest[:, 0]]
    return classes


def _by_gaussians(X, resp, given):
    """Probabilities of the classes given each row, by Gaussians of one covariance that were fitted to guesses.

    Parameters
    ----------
    X : ndarray of shape (N, D)
    resp : ndarray of shape (N, n_classes), or int ndarray of shape (N,)
    given : ndarray of shape (N, n_classes)
    """
    resp = _obeying(_one_hot(resp, given.shape[1]) if resp.ndim == 1 else resp, given)
    counts = resp.sum(0)
    means = (resp.T @ X) / counts[:, None]
    covariance = (X.T @ X - (means.T * counts) @ means) / len(X)
    ridge = _RIDGE * max(np.trace(covariance) / X.shape[1], np.finfo(float).tiny)
    root = cholesky(covariance + ridge * np.eye(X.shape[1]), lower=True)
    centers = solve_triangular(root, means.T, lower=True)
    logits = solve_triangular(root, X.T, lower=True).T @ centers - 0.5 * (centers**2).sum(0) + np.log(counts)
    return softmax(logits, axis=1)


def _mean_field(ties, by_gaussians, q, given):
    """Probabilities (N, n_classes) by Gaussians and neighbours, from a first guess."""
    following = _FOLLOWING * _diagonal(1 / np.asarray(ties.sum(1)).ravel()) @ ties
    own = np.log(np.maximum(by_gaussians, _LEAST_SHARE))
    for _ in range(_FIELD_ROUNDS):
        q = _obeying(softmax(own + following @ q, axis=1), given)
    return q


def _diagonal(values):
    """As scipy 1.11 can make it, which has no `diags_array`."""
    return sparse.dia_array((values[None], [0]), shape=(len(values), len(values)))
