"""Normal numbers for rows, the same for a row wherever it stands, so that its score does not depend on the others."""

from hashlib import blake2b

import numpy as np


def noise_of_rows(X, shape, seed):
    """Normal numbers of a generator for each row, seeded by its values.

    Parameters
    ----------
    X : ndarray of shape (N, D)
    shape : tuple of int
    seed : int

    Returns
    -------
    ndarray of shape (N, *shape)
    """
    rows = np.ascontiguousarray(X, dtype=np.float64) + 0.0  # so that zero has one sign
    key = int(seed).to_bytes(8, "little")
    noise = np.empty((len(rows), *shape))
    for row, target in zip(rows, noise, strict=True):
        digest = blake2b(row.tobytes(), digest_size=16, key=key).digest()
        generator = np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))
        generator.standard_normal(out=target)
    return noise


def paired_noise(n_draws, n_noise, seed):
    """Normal numbers, and minus these: ndarray of shape (n_draws, n_noise)."""
    half = np.random.Generator(np.random.SFC64(seed)).standard_normal((n_draws // 2, n_noise))
    return np.concatenate([half, -half])
