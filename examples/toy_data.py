"""Curved shapes that scikit-learn does not make."""

import numpy as np


def make_pinwheel(n_samples=1000, n_wings=5, *, random_state=None):
    """Wings of normal noise, stretched outwards and turned the more the further out they are.

    After the toy data of Johnson et al. (2016), Composing graphical models with neural networks,
    arXiv:1603.06277.

    Parameters
    ----------
    n_samples : int, default=1000
    n_wings : int, default=5
    random_state : int or None, default=None

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
    y : int ndarray of shape (n_samples,)
        Wing of each row.
    """
    rng = np.random.default_rng(random_state)
    y = np.arange(n_samples) % n_wings
    out = 1 + 0.3 * rng.standard_normal(n_samples)
    aside = 0.05 * rng.standard_normal(n_samples)
    angle = 2 * np.pi * y / n_wings + 0.25 * np.exp(out)
    X = np.column_stack([out * np.cos(angle) - aside * np.sin(angle), out * np.sin(angle) + aside * np.cos(angle)])
    return 2 * X, y


def make_spirals(n_samples=1000, *, noise=0.05, random_state=None):
    """Two interleaved spirals of one and a half turns.

    Parameters
    ----------
    n_samples : int, default=1000
    noise : float, default=0.05
        Standard deviation, in units of the distance that a spiral moves out in a radian.
    random_state : int or None, default=None

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
    y : int ndarray of shape (n_samples,)
    """
    rng = np.random.default_rng(random_state)
    y = np.arange(n_samples) % 2
    angle = np.pi * (0.5 + 3 * np.sqrt(rng.uniform(size=n_samples)))
    turned = angle + np.pi * y
    X = angle[:, None] * np.column_stack([np.cos(turned), np.sin(turned)])
    return X + noise * rng.standard_normal(X.shape), y


def make_checkerboard(n_samples=1000, *, random_state=None):
    """Uniform noise on the eight dark squares of a board of four by four.

    Parameters
    ----------
    n_samples : int, default=1000
    random_state : int or None, default=None

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
        Between -2 and 2.
    y : int ndarray of shape (n_samples,)
        Square of each row.
    """
    rng = np.random.default_rng(random_state)
    y = np.arange(n_samples) % 8
    row, pair = y // 2, y % 2
    corner = np.column_stack([2 * pair + row % 2, row]) - 2
    return corner + rng.uniform(size=(n_samples, 2)), y


def make_eight_gaussians(n_samples=1000, *, noise=0.1, random_state=None):
    """Normal noise around eight points of the unit circle.

    Parameters
    ----------
    n_samples : int, default=1000
    noise : float, default=0.1
        Standard deviation of each feature.
    random_state : int or None, default=None

    Returns
    -------
    X : ndarray of shape (n_samples, 2)
    y : int ndarray of shape (n_samples,)
        Point of each row.
    """
    rng = np.random.default_rng(random_state)
    y = np.arange(n_samples) % 8
    angle = 2 * np.pi * y / 8
    return np.column_stack([np.cos(angle), np.sin(angle)]) + noise * rng.standard_normal((n_samples, 2)), y
