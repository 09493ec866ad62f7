"""Fixtures that several test modules share; those that return functions live for the session, for hypothesis's sake."""

import pytest
import torch

from skflowmix.modules.bases import BASES
from skflowmix.modules.flows import make_flow
from skflowmix.modules.mixture import FlowMixture


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return request.param


@torch.no_grad()
def _perturb(module, generator, scale=0.15):
    for parameter in module.parameters():
        parameter += scale * (2 * torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype) - 1)
    return module


def _randomise(transform, n_features, generator):
    like = next(transform.parameters())
    shape = (len(like), 40, n_features)
    draw = torch.randn(shape, generator=generator, dtype=like.dtype)
    mixing = torch.eye(n_features, dtype=like.dtype) + 0.3 * torch.rand(
        (len(like), n_features, n_features), generator=generator, dtype=like.dtype
    )
    mean = torch.randn((len(like), 1, n_features), generator=generator, dtype=like.dtype)
    weight = torch.rand(shape[:2], generator=generator, dtype=like.dtype) + 0.1
    transform.initialize(draw @ mixing + mean, weight)
    return _perturb(transform, generator)


@pytest.fixture(scope="session")
def randomise():
    """A function that moves every parameter and buffer of a transform away from the identity, seeded."""
    return _randomise


@pytest.fixture(scope="session")
def make_mixture():
    """A function that builds a float64 mixture on the CPU whose parameters are all random, seeded."""

    def make(flow="nsf", n_components=3, n_features=2, *, n_restarts=1, base="normal", seed=0):
        generator = torch.Generator().manual_seed(seed)
        n_flows = n_restarts * n_components
        mixture = FlowMixture(
            make_flow(flow, n_flows, n_features, n_layers=2, hidden_layer_sizes=(8,), generator=generator),
            BASES[base](n_flows, n_features),
            n_components,
            n_restarts=n_restarts,
        ).double()
        _randomise(mixture.flow, n_features, generator)
        _perturb(mixture.base, generator)
        mixture.logits.data.uniform_(-1, 1, generator=generator)
        return mixture

    return make
