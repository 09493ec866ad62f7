"""Flows compiled by `torch.compile` for the time of a fit."""

import copy
from contextlib import contextmanager
from textwrap import shorten

import torch

from ..warn import warn_user

_BACKEND = "inductor"
_LONGEST_CAUSE = 200


@contextmanager
def compiled(flow):
    """Compile the training passes of a flow, and leave it as it was.

    Where torch cannot compile (without a C++ compiler, say) a UserWarning names the cause at the first pass, and the
    flow runs as it is. Evaluation, whose numbers of rows vary, is not compiled.

    Parameters
    ----------
    flow : Transform
        To be copied by `plain_copy` inside the context.
    """
    plain, fast = flow.forward, None

    def forward(x, context=None):
        nonlocal fast
        if not torch.is_grad_enabled():
            return plain(x, context)
        try:
            fast = torch.compile(plain, backend=_BACKEND, dynamic=False) if fast is None else fast
            return fast(x, context)
        except (RuntimeError, ImportError) as error:
            fast = plain
            cause = shorten(str(error), _LONGEST_CAUSE)
            warn_user(f"compile=True has no effect, since torch.compile failed ({type(error).__name__}: {cause}).")
            return plain(x, context)

    flow.forward = forward
    try:
        yield
    finally:
        del flow.forward


def is_compiled(flow):
    """Whether a flow is inside the context."""
    return "forward" in vars(flow)


def plain_copy(mixture):
    """A copy of a mixture, whose flow may be compiled, with the flow as it was."""
    mixture = copy.deepcopy(mixture)
    vars(mixture.flow).pop("forward", None)
    return mixture
