"""A fitted mixture as one torch graph, from rows in the user's units to what estimators answer.

What follows from parameters alone is computed once and stands in the graph as numbers: triangular matrices and their
products, log-determinants, masked weights. Other runtimes than torch need no operators for it.
"""

from __future__ import annotations

import math
import operator

import numpy as np
import torch
from torch import fx, nn

from ..fitting import FittedMixture
from ..fitting.scaling import FeatureScaler
from ..modules.description import describe, rebuild

_aten = torch.ops.aten
_N_EXAMPLES = 7
_LARGE = 1e9


class Answers(nn.Module):
    """Log-densities and probabilities of rows: a copy of a fit, on the CPU in float64.

    Parameters
    ----------
    fitted : FittedMixture
    columns : int ndarray of shape (n_components,)
        Which column of probabilities each of the plan's components counts for.
    """

    sums: torch.Tensor

    def __init__(self, fitted: FittedMixture, columns: np.ndarray) -> None:
        super().__init__()
        self.scaler = nn.ParameterDict({name: _fixed(array) for name, array in vars(fitted.plan.scaler).items()})
        self.mixture = rebuild(describe(fitted.mixture)).double().eval().requires_grad_(False)
        sums = columns[fitted.slots][:, None] == np.arange(columns.max() + 1)
        self.register_buffer("sums", torch.from_numpy(sums.astype(float)))

    def forward(self, X):
        """Tensor of shape (N, D), in float64 -> Tensor of shape (N,), Tensor of shape (N, n_columns)."""
        rows, log_det = FeatureScaler(**self.scaler).transform_and_log_det(X)
        log_prob, log_resp = self.mixture(rows)
        return log_prob + log_det, log_resp.exp() @ self.sums


def _fixed(array):
    return nn.Parameter(torch.from_numpy(array), requires_grad=False)


def _softplus(x, beta=1, threshold=20):
    return (x * beta).clamp_min(0) / beta + (1 + (-(x * beta).abs()).exp()).log() / beta


def _lerp(start, end, weight):
    way = end - start
    return torch.where(weight < 0.5, start + weight * way, end - (1 - weight) * way)


def _hypot(x, y):
    larger = torch.maximum(x.abs(), y.abs()).clamp_min(torch.finfo(x.dtype).tiny)
    return larger * ((x / larger) ** 2 + (y / larger) ** 2).sqrt()


def _asinh(x):
    size = x.abs()
    return x.sign() * torch.where(size < _LARGE, (size + (size * size + 1).sqrt()).log(), size.log() + math.log(2))


_DECOMPOSITIONS = {
    _aten.softplus.default: _softplus,
    _aten.log_sigmoid.default: lambda x: -_softplus(-x),
    _aten.log_sigmoid_forward.default: lambda x: (-_softplus(-x), x.new_empty(0)),
    _aten.lerp.Tensor: _lerp,
    _aten.hypot.default: _hypot,
    _aten.asinh.default: _asinh,
    _aten.sinh.default: lambda x: (x.exp() - (-x).exp()) / 2,
}  # of what runtimes do not have for double precision; torch's own ways overflow, or ask for strides


def program_of(answers: Answers) -> torch.export.ExportedProgram:
    """Those answers as a graph of torch's core operators, for any number of rows."""
    decompositions = torch.export.default_decompositions()
    decompositions.update(_DECOMPOSITIONS)
    module = _program(answers, answers).run_decompositions(decompositions).module(check_guards=False)
    _fold(module)
    _keep_digits(module)
    return _program(fx.GraphModule(module, module.graph), answers)


def _program(module, answers):
    example = torch.zeros(_N_EXAMPLES, len(answers.scaler["center"]), dtype=torch.float64)
    return torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim("n_samples")},))


def _fold(module):
    """Replace by a number what is the same for all rows."""
    known = {}
    for node in module.graph.nodes:
        if node.op == "get_attr":
            known[node] = operator.attrgetter(node.target)(module)
        elif node.op == "call_function" and known.keys() >= set(node.all_input_nodes):
            args, kwargs = (fx.node.map_arg(arguments, known.__getitem__) for arguments in (node.args, node.kwargs))
            known[node] = node.target(*args, **kwargs)
    for node, value in known.items():
        if node.op == "call_function" and isinstance(value, torch.Tensor):
            node.replace_all_uses_with(_number(module, node, value))
    module.graph.eliminate_dead_code()


def _keep_digits(module):
    """Replace Python's numbers, which ONNX takes for single precision, by tensors."""
    for node in module.graph.nodes:
        if node.op == "call_function" and isinstance(node.kwargs.get("alpha"), float):
            with module.graph.inserting_before(node):
                times = _number(module, node, node.kwargs["alpha"])
                node.args = (node.args[0], module.graph.call_function(_aten.mul.Tensor, (node.args[1], times)))
            node.kwargs = {}
        if node.op == "call_function" and any(isinstance(arg, float) for arg in node.args):
            of_tensors = getattr(node.target.overloadpacket, "Tensor", None)
            if of_tensors is not None:
                node.target = of_tensors
                node.args = tuple(_number(module, node, arg) if isinstance(arg, float) else arg for arg in node.args)


def _number(module, node, value):
    """A node for a constant, before another one."""
    name, dtype = f"number_{len(module._buffers)}", torch.float64 if isinstance(value, float) else None
    module.register_buffer(name, torch.as_tensor(value, dtype=dtype).contiguous())
    with module.graph.inserting_before(node):
        return module.graph.get_attr(name)
