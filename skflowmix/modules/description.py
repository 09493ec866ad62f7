"""Modules as plain data, out of which they are built again without a call of their constructors.

A description is what pickles hold, since torch shares tensors between processes, which not all ways of starting one
allow; and what files hold, since data runs no code.
"""

import torch
from torch import nn

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


def describe(module, known=None):
    """A module as dictionaries, lists and arrays.

    Parameters
    ----------
    module : nn.Module
    known : list of nn.Module, default=None
        Those that have been described before; one of them is described by its ``index`` there.

    Returns
    -------
    dict
        Its ``class``, whether it is in ``training``, its own ``attributes``, ``parameters`` (array, whether it is
        learned), ``buffers`` (array, whether it belongs to the state dictionary), and the ``children``'s descriptions;
        None in the place of those that are None.
    """
    known = [] if known is None else known
    for index, other in enumerate(known):
        if other is module:
            return {"index": index}
    known.append(module)
    transient = module._non_persistent_buffers_set
    return {
        "class": type(module),
        "training": module.training,
        "attributes": {name: value for name, value in state_of(module).items() if name not in _OF_EVERY_MODULE},
        "parameters": _each(module._parameters, lambda name, tensor: (_array(tensor), tensor.requires_grad)),
        "buffers": _each(module._buffers, lambda name, tensor: (_array(tensor), name not in transient)),
        "children": _each(module._modules, lambda name, child: describe(child, known)),
    }


def rebuild(description, known=None):
    """The module of a description, on the CPU; `known` are those that have been built before."""
    known = [] if known is None else known
    if "index" in description:
        return known[description["index"]]
    module = object.__new__(description["class"])
    nn.Module.__init__(module)
    known.append(module)
    vars(module).update(description["attributes"])
    module.training = description["training"]
    for name, found in description["parameters"].items():
        parameter = None if found is None else nn.Parameter(_tensor(found[0]), requires_grad=found[1])
        module.register_parameter(name, parameter)
    for name, found in description["buffers"].items():
        module.register_buffer(name, None if found is None else _tensor(found[0]), persistent=found is None or found[1])
    for name, child in description["children"].items():
        module.register_module(name, None if child is None else rebuild(child, known))
    return module


def state_of(value):
    """What of an object its copies by pickle have."""
    own = getattr(type(value), "__getstate__", None)
    if own is None or own is getattr(object, "__getstate__", None):
        return dict(vars(value))
    return own(value)


def _each(named, function):
    return {name: None if value is None else function(name, value) for name, value in named.items()}


def _array(tensor):
    return tensor.detach().cpu().numpy().copy()


def _tensor(array):
    return torch.from_numpy(array.copy())
