"""Layers that several components share: rows go through them once for all of these, and once for each draw."""

from .transforms.places import take


def forth(shared, route, x):
    """Rows as they reach components.

    Parameters
    ----------
    shared : Transform
        Layers of S mixtures.
    route : sequence of int of length K
        Through the layers of which mixture each component's rows come; each of the S is there.
    x : Tensor of shape (N, D) or (1, N, D)

    Returns
    -------
    x : Tensor of shape (K, N, D)
    ladj : Tensor of shape (K, N)
        Of the shared layers.
    """
    y, ladj = shared(x.expand(max(route) + 1, *x.shape[-2:]))
    return take(y, 0, route), take(ladj, 0, route)


def back(shared, route, x):
    """What rows of components (K, N, D) stand for, before the shared layers: (K, N, D) and the log-determinant (K, N).

    Components of one mixture go back side by side; a mixture of fewer than others has some of them twice.
    """
    members = [[k for k, other in enumerate(route) if other == mixture] for mixture in range(max(route) + 1)]
    most = max(map(len, members))
    filled = [k for own in members for k in own + own[:1] * (most - len(own))]
    y, ladj = shared.inverse(take(x, 0, filled).unflatten(0, (-1, most)).flatten(1, 2))
    places = [filled.index(k) for k in range(len(route))]
    y, ladj = (tensor.unflatten(1, (most, -1)).flatten(0, 1) for tensor in (y, ladj))
    return take(y, 0, places), take(ladj, 0, places)


def some(route, components):
    """The route of some components, and the mixtures whose layers they still come through: two lists of int."""
    chosen = [route[k] for k in components]
    mixtures = sorted(set(chosen))
    return [mixtures.index(mixture) for mixture in chosen], mixtures
