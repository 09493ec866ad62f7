"""Modules along the component axis: with which every parameter and buffer leads, so that no module has to help."""

import copy

import torch
from torch import nn


def tensors_of(module):
    """Every parameter and buffer as (owner, name, tensor)."""
    return [
        (owner, name, tensor.detach())
        for owner in module.modules()
        for name, tensor in [*owner.named_parameters(recurse=False), *owner.named_buffers(recurse=False)]
    ]


def put(owner, name, tensor):
    """Put a tensor in the place of a parameter or buffer of another shape."""
    old = getattr(owner, name)
    if isinstance(old, nn.Parameter):
        tensor = nn.Parameter(tensor, requires_grad=old.requires_grad)
    setattr(owner, name, tensor)


def stack(modules):
    """One module out of several of the same architecture, whose component axes follow each other."""
    stacked = copy.deepcopy(modules[0])
    for parts in zip(*map(tensors_of, (stacked, *modules[1:])), strict=True):
        owner, name, _ = parts[0]
        put(owner, name, torch.cat([tensor for _, _, tensor in parts]))
    return stacked


def part(module, index, n_parts):
    """A copy of one of so many equal parts of the component axis."""
    copied = copy.deepcopy(module)
    for owner, name, tensor in tensors_of(copied):
        put(owner, name, tensor.chunk(n_parts)[index].clone())
    return copied


def keep(module, components):
    """Leave some components only, in place."""
    for owner, name, tensor in tensors_of(module):
        put(owner, name, tensor[components].clone())


def copy_into(module, components, other, others_components):
    """Write components of another module of the same architecture over some of a module's, in place."""
    for (_, _, tensor), (_, _, source) in zip(tensors_of(module), tensors_of(other), strict=True):
        tensor[components] = source[others_components]
