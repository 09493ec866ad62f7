"""Initial values of parameters: the same numbers whatever torch's default type is."""

import torch


def normal(*shape, generator=None):
    """Standard normal numbers, Tensor of the default type."""
    return torch.randn(shape, generator=generator, dtype=torch.float32).to(default_dtype())


def uniform(*shape, generator=None):
    """Uniform numbers from 0 to 1, Tensor of the default type."""
    return torch.rand(shape, generator=generator, dtype=torch.float32).to(default_dtype())


def default_dtype():
    """The type of what has none, as a context may have it; `torch.get_default_dtype` knows of no contexts."""
    return torch.empty(0).dtype
