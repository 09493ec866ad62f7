"""Chains of transforms that a context steers: from a latent draw to a posterior's, say, given what was observed."""

from .transforms import Autoregressive, Compose, GateMap, Planar


def iaf_chain(n_components, n_features, n_steps, n_context, *, hidden_layer_sizes=(32, 32), generator=None):
    r"""Inverse autoregressive flow: :math:`z \leftarrow \sigma z + (1 - \sigma) m`, again and again.

    Kingma et al. (2016), Improving variational inference with inverse autoregressive flow, arXiv:1606.04934; Kingma
    (2017), Variational inference and deep learning, ch. 5. Gate :math:`\sigma` and m of a feature are a masked
    network's of the features before it and of the context. The order of the features is reversed from step to step,
    gates start nearly open. `forward` is the way that draws take, a network pass for each step.

    Parameters
    ----------
    n_components : int
        Number C of chains.
    n_features : int
        Number D of features.
    n_steps : int
    n_context : int
        Number H of context features; 0 for a chain without.
    hidden_layer_sizes : tuple of int, default=(32, 32)
        Units in the hidden layers of each step's network.
    generator : torch.Generator, default=None
        Source of the initial weights.

    Returns
    -------
    Compose
    """
    order = list(range(n_features))
    orders = [order if step % 2 == 0 else order[::-1] for step in range(n_steps)]
    how = {"n_context": n_context, "generator": generator}
    return Compose([Autoregressive(n_components, order, GateMap(), hidden_layer_sizes, **how) for order in orders])


def planar_chain(n_components, n_features, n_steps, n_context, *, hidden_layer_sizes=(32, 32), generator=None):
    """Planar maps whose planes and bends are networks' of the context; parameters as of `iaf_chain`.

    Rezende and Mohamed (2015), Variational inference with normalizing flows, arXiv:1505.05770.
    """
    how = {"n_context": n_context, "hidden_layer_sizes": hidden_layer_sizes, "generator": generator}
    return Compose([Planar(n_components, n_features, **how) for _ in range(n_steps)])
