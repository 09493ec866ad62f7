"""All parameters of a stack of restarts as rows of a table.

Every parameter leads with an axis of R restarts or R x K components, so that parameters with equally long
leading axes are columns of one contiguous table. The module's parameters become views of it: whatever
treats a restart as a whole (its gradient's norm, its best state, going back to that) is then an operation on
rows, however many layers there are.
"""

import torch


class ParameterTable:
    """Tables of the trainable parameters of a mixture, and of their gradients.

    Parameters
    ----------
    module : nn.Module
        Its trainable parameters are moved into the tables; its values stay.
    n_restarts : int
        Number R of rows.

    Attributes
    ----------
    values, gradients : list of Tensor of shape (R, P_i)
        One for each length of the leading axis.
    live_state : list of Tensor of shape (R, S_i)
        The values, and the buffers that a state dictionary holds: running averages change in training, too.
    """

    def __init__(self, module, n_restarts):
        by_length: dict[int, list] = {}
        for parameter in module.parameters():
            if parameter.requires_grad:
                by_length.setdefault(len(_columns(parameter)), []).append(parameter)
        self.columns = list(by_length.values())
        self.values, self.gradients = [], []
        for parameters in self.columns:
            table = torch.cat([_columns(p.detach()) for p in parameters], 1)
            widths = [p.numel() // len(table) for p in parameters]
            for parameter, columns in zip(parameters, table.split(widths, 1), strict=True):
                parameter.data = columns.view_as(parameter)
            self.values.append(table.view(n_restarts, -1))
            self.gradients.append(torch.zeros_like(self.values[-1]))
        saved = module.state_dict()
        buffers = [buffer for name, buffer in module.named_buffers() if name in saved]
        self.live_state = [*self.values, *(buffer.view(n_restarts, -1) for buffer in buffers)]

    def rows(self):
        """Pairs of the values and the gradients of each restart, both lists of Tensor."""
        return [
            (list(values), list(gradients))
            for values, gradients in zip(zip(*self.values, strict=True), zip(*self.gradients, strict=True), strict=True)
        ]

    def differentiate(self, loss):
        """Write the gradients of a scalar Tensor into the tables, zeros for parameters that it does not depend on."""
        everything = [p for parameters in self.columns for p in parameters]
        flat = iter(torch.autograd.grad(loss, everything, allow_unused=True, materialize_grads=True))
        for parameters, table in zip(self.columns, self.gradients, strict=True):
            columns = [_columns(next(flat)) for _ in parameters]
            torch.cat(columns, 1, out=table.view(len(columns[0]), -1))

    @torch.no_grad()
    def gradient_norms(self):
        """Norm of each restart's gradient, Tensor of shape (R,).

        Row by row, or the rounding of one restart would depend on how many there are.
        """
        norms = [torch.linalg.vector_norm(row) for table in self.gradients for row in table]
        return torch.stack(norms).unflatten(0, (len(self.gradients), -1)).square().sum(0).sqrt()

    def state(self):
        """A copy of `live_state`."""
        return [tensor.clone() for tensor in self.live_state]

    @torch.no_grad()
    def copy_rows(self, source, target, chosen):
        """Copy the chosen restarts' rows from one list of tables to another, in place."""
        for from_rows, to_rows in zip(source, target, strict=True):
            to_rows[chosen] = from_rows[chosen]


def _columns(parameter):
    """A parameter as columns of a table, (L, P); one of fewer than two axes, which one restart may have, is a row."""
    return parameter.flatten(1) if parameter.ndim > 1 else parameter.reshape(1, -1)
