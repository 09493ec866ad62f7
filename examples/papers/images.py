"""Descriptors of images of digits: upright, and as directions of their strokes rather than as pixels.

Fixed functions of one image each, with nothing to be learned. Two images of one digit that differ in slant or by a
pixel's shift are far apart as pixels, and near as descriptors.
"""

import math

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, conv2d, grid_sample, interpolate

SIDE = 28
_N_DIRECTIONS, _CELL, _STEP = 8, 6, 3
_LARGEST = 0.2
_AT_ONCE = 2000


def descriptors(X):
    """Histograms of gradients of upright images (Dalal and Triggs, 2005), each of norm one.

    Parameters
    ----------
    X : ndarray of shape (n_samples, side * side)
        Brightness from 0 to 1. Other sides than 28 are brought to it.

    Returns
    -------
    ndarray of shape (n_samples, 512)
    """
    side = math.isqrt(X.shape[1])
    parts = [X[start : start + _AT_ONCE] for start in range(0, len(X), _AT_ONCE)]
    return np.concatenate([_of_images(np.asarray(part, dtype=np.float32).reshape(-1, side, side)) for part in parts])


def _of_images(images):
    images = torch.from_numpy(images)[:, None]
    if images.shape[-1] != SIDE:
        images = interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False)
    return _histograms(upright(images)).numpy()


def upright(images):
    """Images (N, 1, 28, 28) with their centre of mass in the middle and without slant, by their second moments."""
    place = torch.arange(SIDE) - (SIDE - 1) / 2
    mass = images.sum((1, 2, 3)).clamp_min(1e-6)
    y, x = (images.sum((1, 3)) @ place) / mass, (images.sum((1, 2)) @ place) / mass
    below, right = place - y[:, None], place - x[:, None]
    share = images[:, 0] / mass[:, None, None]
    spread = torch.einsum("nij,ni->n", share, below.square()).clamp_min(1e-6)
    slant = (torch.einsum("nij,ni,nj->n", share, below, right) / spread).clamp(-1, 1)
    rows = (place + y[:, None])[:, :, None].expand(-1, SIDE, SIDE)
    columns = (place + x[:, None])[:, None, :] + slant[:, None, None] * place[:, None]
    return grid_sample(images, torch.stack([columns, rows], 3) / (SIDE / 2), align_corners=False)


def _histograms(images):
    """Shares of directions in overlapping cells, weighted by the gradients' lengths: (N, 1, 28, 28) -> (N, 512)."""
    slope = torch.tensor([[[[-1.0, 0.0, 1.0]]]])
    across, down = conv2d(images, slope, padding=(0, 1)), conv2d(images, slope.mT, padding=(1, 0))
    direction = (torch.atan2(down, across) / (2 * math.pi) * _N_DIRECTIONS) % _N_DIRECTIONS
    length, lower = torch.hypot(across, down), direction.floor()
    part = direction - lower
    index = lower.long() % _N_DIRECTIONS
    histogram = torch.zeros(len(images), _N_DIRECTIONS, SIDE, SIDE)
    histogram.scatter_add_(1, index, length * (1 - part))
    histogram.scatter_add_(1, (index + 1) % _N_DIRECTIONS, length * part)
    smooth = avg_pool2d(histogram, 3, stride=1, padding=1)
    cells = avg_pool2d(smooth, _CELL, stride=_STEP).flatten(1)
    cells = (cells / (cells.norm(dim=1, keepdim=True) + 1e-6)).clamp_max(_LARGEST)
    return cells / (cells.norm(dim=1, keepdim=True) + 1e-6)
