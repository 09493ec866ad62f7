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


def split_off_arrays(module):
    """A copy of a module without its tensors, and these as arrays, so that both pass from one process to another.

    Returns
    -------
    skeleton : nn.Module
    arrays : list of (str, str, ndarray, bool)
        Owner, name, values, and whether they are a parameter that is learned; of a buffer None.
    """
    skeleton, arrays = copy.deepcopy(module).cpu(), []
    for path, owner in skeleton.named_modules():
        for tensors in (owner._parameters, owner._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    learned = tensor.requires_grad if tensors is owner._parameters else None
                    arrays.append((path, name, tensor.detach().numpy(), learned))
                    tensors[name] = None
    return skeleton, arrays


def put_arrays(skeleton, arrays):
    """The module that `split_off_arrays` was given, on the CPU, out of what it returned."""
    module = copy.deepcopy(skeleton)
    for path, name, array, learned in arrays:
        tensor, owner = torch.from_numpy(array.copy()), module.get_submodule(path)
        if learned is None:
            owner._buffers[name] = tensor
        else:
            owner._parameters[name] = nn.Parameter(tensor, requires_grad=learned)
    return module


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
