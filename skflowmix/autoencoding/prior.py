"""A mixture of flows as prior: where it starts.

Components find the clusters that they begin in, as those of a mixture of rows do. So the networks first learn with a
standard normal prior, which draws rows that are alike together, and the mixture begins at a partition of the
posterior means then, that of a Gaussian mixture: under the prior so far clusters are oval, and lie side by side without
gaps. Of several it is the one of the best silhouette (Rousseeuw, 1987, Journal of Computational and Applied Mathematics
20). Likelihood, shared neighbours and doubt are all the better where a dense cluster is cut in two and two others are
one; only distances tell (docs/notes/autoencoders.md).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import softmax
from sklearn.metrics import silhouette_score

from ..bridge import seeded_generator
from ..modules import FlowMixture, Normal, make_flow
from ..partitions.gaussian import fit_gaussians
from ..partitions.seeds import kmeans
from .row_noise import paired_noise

_MOST_ROWS = 10_000
_N_STARTS = 12
_ROWS_THAT_JUDGE = 2000
_ROWS_AT_ONCE = 1024
_LEAST_VARIANCE = 1e-3
_HIDDEN_LAYER_SIZES = (32, 32)


@torch.no_grad()
def start_prior(settings, model, x, random_state):
    """A mixture of flows whose components are the Gaussians of clusters of latent places.

    Parameters
    ----------
    settings : AutoencoderSettings
    model : Autoencoder
        That has learned something.
    x : Tensor of shape (N, D)
        Rows to learn from, of which at most 10,000 are looked at.
    random_state : RandomState

    Returns
    -------
    FlowMixture
        Like the model in type and device.
    """
    like = next(model.decoder.parameters())
    chosen = torch.from_numpy(random_state.permutation(len(x))[:_MOST_ROWS])
    mean, z = latent_places(model, x[chosen.to(x.device)], random_state)
    resp = clusters(mean, settings.n_components, random_state)
    sizes = {"n_layers": settings.n_layers, "hidden_layer_sizes": _HIDDEN_LAYER_SIZES, "reg_covar": _LEAST_VARIANCE}
    generator = seeded_generator(random_state.randint(np.iinfo(np.int32).max), "cpu")
    flow = make_flow(settings.flow, settings.n_components, z.shape[1], generator=generator, **sizes)
    mixture = FlowMixture(flow, Normal(settings.n_components, z.shape[1]), settings.n_components).double()
    mixture.initialize(torch.from_numpy(z), torch.from_numpy(resp))
    return mixture.to(like)


def latent_places(model, x, random_state):
    """Means of the latent places of rows, about, and a draw of each: ndarrays of shape (N, L)."""
    like = next(model.decoder.parameters())
    n_noise, seed = model.encoder.n_noise, random_state.randint(np.iinfo(np.int32).max)
    common = torch.from_numpy(paired_noise(model.encoder.n_draws_of_mean, n_noise, seed)).to(like)[:, None]
    generator = seeded_generator(seed, like.device)
    means, draws = [], []
    for rows in x.split(_ROWS_AT_ONCE):
        rows = rows.to(like.device)
        own = torch.randn(1, len(rows), n_noise, generator=generator, dtype=like.dtype, device=like.device)
        draws.append(model.draw(rows, own).z[0])
        means.append(model.mean(rows) if model.encoder.has_mean else model.draw(rows, common).z.mean(0))
    return torch.cat(means).double().cpu().numpy(), torch.cat(draws).double().cpu().numpy()


def clusters(mean, n_components, random_state):
    """Responsibilities (N, K) of a Gaussian mixture for latent places, the one with the best silhouette of several."""
    if n_components == 1:
        return np.ones((len(mean), 1))
    weight = np.ones(len(mean))
    tried = [_gaussian_clusters(mean, n_components, weight, random_state) for _ in range(_N_STARTS)]
    chosen = random_state.permutation(len(mean))[:_ROWS_THAT_JUDGE]
    return max(tried, key=lambda resp: _silhouette(mean[chosen], resp[chosen].argmax(1)))


def _gaussian_clusters(mean, n_components, weight, random_state):
    """From one run of k-means each: the best of several would mostly be the same one."""
    start = kmeans(mean, n_components, weight, random_state, n_init=1)
    fit = fit_gaussians(mean, weight, start, n_pseudo_rows=mean.shape[1] + 1)
    return softmax(fit.log_joint(mean), axis=1)


def _silhouette(places, labels):
    """-1, the least, where it is none, for want of two clusters or of two rows in one."""
    if not 1 < len(np.unique(labels)) < len(labels):
        return -1.0
    return silhouette_score(places, labels)
