"""Tensors that sizes determine: computed at their first use, and by the compiler in every graph."""

from functools import cache, wraps

import torch


def constant(function):
    """Decorator of a function from hashable arguments to a tensor, which callers only read."""
    kept = cache(torch.inference_mode(False)(function))

    @wraps(function)
    def computed_once(*args):
        return function(*args) if torch.compiler.is_compiling() else kept(*args)

    return computed_once
