"""Networks, encoder, likelihood and prior, as settings ask for them."""

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import nn

from ..bridge import seeded_generator, seeded_global_generators
from ..modules.autoencoder import Autoencoder, StandardNormal
from ..modules.chains import iaf_chain, planar_chain
from ..modules.dense import Dense, Perceptron
from ..modules.draws import default_dtype
from ..modules.encoders import FlowEncoder, FullEncoder, HamiltonianEncoder, NormalEncoder
from ..modules.likelihoods import LIKELIHOODS, Bernoulli
from ..modules.weight_noise import noisy_linear

_MOST_UNITS_OF_A_STEP = 256


def _plain(encoder):
    def make(settings, make_network, generator):
        return encoder(make_network, settings.n_latent_features)

    return make


def _steered(encoder, **own):
    """An encoder whose steps have networks of their own, as wide as the encoder's last layer, and a context as wide."""

    def make(settings, make_network, generator):
        width = min((*settings.hidden_layer_sizes, _MOST_UNITS_OF_A_STEP)[-1], _MOST_UNITS_OF_A_STEP)
        return encoder(
            make_network,
            settings.n_latent_features,
            n_steps=settings.n_posterior_layers,
            n_context=min(width, 2 * settings.n_latent_features),
            hidden_layer_sizes=(width,),
            generator=generator,
            **own,
        )

    return make


POSTERIORS: dict[str, Callable] = {
    "full": _plain(FullEncoder),
    "hamiltonian": _steered(HamiltonianEncoder),
    "iaf": _steered(FlowEncoder, make_chain=iaf_chain),
    "normal": _plain(NormalEncoder),
    "planar": _steered(FlowEncoder, make_chain=planar_chain),
}
"""``make(settings, make_network, generator) -> Encoder``."""


def new_autoencoder(settings, likelihood, units, n_features, seed, *, n_condition=0):
    """An autoencoder with a standard normal prior, on the CPU, in the settings' type.

    Parameters
    ----------
    settings : AutoencoderSettings
        Or another record with its networks, posterior and likelihood.
    likelihood : str
        A key of `LIKELIHOODS`.
    units : Units
        Of the rows.
    n_features : int
        Number D of their features.
    seed : int
    n_condition : int, default=0
        Number H of features of a condition; see `modules.autoencoder`.

    Returns
    -------
    Autoencoder
    """
    generator = seeded_generator(seed, "cpu")
    density = LIKELIHOODS[likelihood]
    if density is not Bernoulli:
        density = partial(density, heteroscedastic=settings.heteroscedastic, least_scale=settings.reg_covar**0.5)
    likelihood = density(n_features)
    units.tell(likelihood)
    sizes = n_features + n_condition, settings.hidden_layer_sizes
    linear = {"make_linear": linear_layer(settings.dropout)}
    make_encoder_network = partial(new_network, settings.encoder, *sizes, generator, "encoder", **linear)
    encoder = POSTERIORS[settings.posterior](settings, make_encoder_network, generator)
    decoder = new_network(
        settings.decoder,
        settings.n_latent_features + n_condition,
        settings.hidden_layer_sizes[::-1],
        generator,
        "decoder",
        likelihood.n_outputs,
        **linear,
    )
    model = Autoencoder(encoder, decoder, likelihood, StandardNormal(settings.n_latent_features))
    return model.to(getattr(torch, settings.dtype))


@contextmanager
def own_noise_of_modules(settings, device, random_state):
    """Seed torch's global generators, of which modules of a user's own may draw noise, and leave them as found."""
    if not any(getattr(settings, name, None) for name in ("encoder", "decoder", "classifier")):
        yield
        return
    with seeded_global_generators(random_state.randint(np.iinfo(np.int32).max), device):
        yield


def linear_layer(dropout):
    """What makes the layers of perceptrons, as `modules.dense.Dense`."""
    return noisy_linear(dropout) if dropout else Dense


def new_network(make, n_inputs, hidden_layer_sizes, generator, name, n_outputs, *, make_linear=Dense):
    """A perceptron, or what a user's function makes.

    Parameters
    ----------
    make : callable or None
        ``make(n_inputs, n_outputs) -> nn.Module``; torch's global generator, of which it may draw, is seeded for it and
        left as found.
    n_inputs : int
    hidden_layer_sizes : sequence of int
        Of the perceptron.
    generator : torch.Generator
    name : str
        Of the parameter, for errors.
    n_outputs : int
    make_linear : callable, default=Dense
        What makes the layers of the perceptron.

    Raises
    ------
    ValueError
        If the function does not make a network that maps rows to rows of the right sizes.
    """
    if make is None:
        return Perceptron(n_inputs, hidden_layer_sizes, n_outputs, make_linear=make_linear, generator=generator)
    with seeded_global_generators(torch.randint(2**31, (), generator=generator), torch.device("cpu")):
        network = make(n_inputs, n_outputs)
    if not isinstance(network, nn.Module):
        raise ValueError(f"{name} must make a torch.nn.Module; it made {type(network).__name__}.")
    was_training, dtypes = network.training, [parameter.dtype for parameter in network.parameters()]
    rows = torch.zeros(2, n_inputs, dtype=dtypes[0] if dtypes else default_dtype())
    try:
        with torch.no_grad():
            found = network.eval()(rows)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{name}({n_inputs}, {n_outputs}) must make a module that maps rows of {n_inputs} numbers to rows of "
            f"{n_outputs}; of two rows of zeros it said {type(error).__name__}: {error}"
        ) from error
    if found.shape != (2, n_outputs):
        raise ValueError(
            f"{name}({n_inputs}, {n_outputs}) must make a module that maps rows of {n_inputs} numbers to rows of "
            f"{n_outputs}; two rows came out in the shape {tuple(found.shape)}."
        )
    return network.train(was_training)
