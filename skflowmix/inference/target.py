"""An unnormalised log-density that a user brings, as a function of tensors that carries gradients."""

import numpy as np
import torch

from ..default_dtype import callers_precision

_WANTED = (
    "log_density must be a function of a Tensor of shape {given} that returns a Tensor of shape {wanted} by "
    "differentiable operations, or one of an array that returns the pair (value, gradient)"
)

_CURVATURE = (
    "transition='hamiltonian' learns by way of the gradient of log_density, which has to be a function of tensors that "
    "torch can differentiate twice (transition='over-relaxed' does without)"
)


class Target:
    r"""The log-density :math:`\log \tilde p(\theta)` that posteriors are fitted to.

    Parameters
    ----------
    log_density : callable
        Tensor of shape (N, D) -> Tensor of shape (N,), through which autograd can go back, or ndarray of shape (N, D)
        -> (ndarray of shape (N,), ndarray of shape (N, D)), value and gradient. It is a function of its argument
        alone. With `vectorized` false it takes one row, (D,), and returns a number, and a gradient of shape (D,).
    vectorized : bool
    dtype : torch.dtype
        What tensors it is given; arrays are float64.
    interior : ndarray of shape (2, D), default=None
        Least and greatest numbers that it is asked for, as of `Coordinates.interior`.
    """

    def __init__(self, log_density, *, vectorized, dtype, interior=None):
        self.log_density, self.vectorized, self.dtype, self.interior = log_density, vectorized, dtype, interior
        self.takes_arrays = None

    def of(self, log_density):
        """Another log-density of the same kind."""
        return Target(log_density, vectorized=self.vectorized, dtype=self.dtype, interior=self.interior)

    def __getstate__(self):
        """State of plain data, without the function, which need not be fit for a pickle."""
        return {**vars(self), "log_density": None, "dtype": str(self.dtype).removeprefix("torch.")}

    def __setstate__(self, state):
        vars(self).update(state, dtype=getattr(torch, state["dtype"]))

    def probe(self, theta):
        """See whether it takes tensors or arrays, and whether it can be fitted to.

        Parameters
        ----------
        theta : Tensor of shape (N, D)
            Points where the density may be expected to be positive somewhere.

        Raises
        ------
        TypeError
            If it returns something else than what it should.
        ValueError
            If it returns another shape, cannot be differentiated, or is +inf or nowhere a number.
        """
        self.takes_arrays = self._asks_for_arrays(theta[:1])
        theta = theta.detach().requires_grad_()
        value = self(theta)
        if not value.requires_grad:
            raise ValueError(f"{self._wanted()}; what it returned does not depend on its argument for autograd.")
        (gradient,) = torch.autograd.grad(value.sum(), theta, allow_unused=True)
        if gradient is None:
            raise ValueError(f"{self._wanted()}; what it returned does not depend on its argument for autograd.")
        self.check(value)
        if not (value > -torch.inf).any():
            raise ValueError(
                f"log_density is NaN or -inf at all of the {len(theta)} points where the fit looks first; set bounds, "
                "or give it in units in which its bulk is within some hundreds of zero."
            )
        if not gradient[value > -torch.inf].isfinite().any():
            raise ValueError("The gradient of log_density is NaN or infinite wherever log_density is a number.")

    def probe_curvature(self, theta):
        """See whether its gradient can be differentiated again, as learning by way of the gradient asks for.

        Raises
        ------
        ValueError
        """
        if self.takes_arrays:
            raise ValueError(f"{_CURVATURE}; it returns arrays.")
        theta = theta.detach().requires_grad_()
        try:
            (gradient,) = torch.autograd.grad(self(theta).sum(), theta, create_graph=True)
            if gradient.requires_grad:
                torch.autograd.grad(gradient.sum(), theta, allow_unused=True)
        except RuntimeError as error:
            raise ValueError(f"{_CURVATURE}; torch says: {error}") from error
        known = gradient[gradient.isfinite().all(1)]
        if not gradient.requires_grad and (known != known[:1]).any():
            raise ValueError(f"{_CURVATURE}; its gradient is no constant, but has no derivative.")

    def check(self, value):
        """Raise a ValueError where a density is infinite."""
        if (value == torch.inf).any():
            raise ValueError("log_density is +inf at some points: a density has to be finite.")

    def __call__(self, theta):
        """Log-density of rows, NaN being no density at all.

        Parameters
        ----------
        theta : Tensor of shape (N, D)

        Returns
        -------
        Tensor of shape (N,)
            In nats; -inf where it is not a number.
        """
        given = self._within(theta.to(self.dtype))
        if self.takes_arrays:
            value = _Arrays.apply(given, self._arrays)
        elif self.vectorized:
            value = self._checked(self._ask(given), (len(given),))
        else:
            value = torch.stack([self._checked(self._ask(row), ()) for row in given])
        value = value.to(theta.dtype)
        return torch.where(value.isnan(), -torch.inf, value)

    def _ask(self, theta):
        with callers_precision():
            return self.log_density(theta)

    def _within(self, theta):
        return theta if self.interior is None else theta.clamp(*torch.as_tensor(self.interior).to(theta))

    def _asks_for_arrays(self, theta):
        """Whether a pair is returned, or nothing at all but to arrays."""
        theta = self._within(theta.to(self.dtype)).detach().requires_grad_()
        try:
            found = self._ask(theta if self.vectorized else theta[0])
        except Exception as error:
            try:
                found = self._call_with_arrays(theta)
            except Exception:
                found = None
            if not isinstance(found, tuple):
                raise error
        return isinstance(found, tuple)

    def _call_with_arrays(self, theta):
        theta = theta.detach().cpu().numpy().astype(np.float64)
        return self._ask(theta if self.vectorized else theta[0])

    def _arrays(self, theta):
        """Value and gradient of rows, ndarrays of shape (N,) and (N, D), the shapes having been checked."""
        theta = theta.detach().cpu().numpy().astype(np.float64)
        if self.vectorized:
            pairs = self._ask(theta)
        else:
            rows = [self._ask(row) for row in theta]
            pairs = [value for value, _ in rows], [gradient for _, gradient in rows]
        value, gradient = (np.asarray(part, dtype=np.float64) for part in pairs)
        if value.shape != theta.shape[:1] or gradient.shape != theta.shape:
            raise ValueError(
                f"log_density must return a value of shape {theta.shape[:1]} and a gradient of shape {theta.shape}; "
                f"got {value.shape} and {gradient.shape}."
            )
        return value, gradient

    def _checked(self, value, shape):
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"{self._wanted()}; it returned {type(value).__name__}.")
        if value.shape != shape:
            raise ValueError(f"{self._wanted()}; for {shape or 'one row'} it returned shape {tuple(value.shape)}.")
        return value

    def _wanted(self):
        given, wanted = ("(N, D)", "(N,)") if self.vectorized else ("(D,)", "()")
        return _WANTED.format(given=given, wanted=wanted)


class _Arrays(torch.autograd.Function):
    """A function of arrays that returns value and gradient, as one of tensors."""

    @staticmethod
    def forward(ctx, theta, function):
        value, gradient = function(theta)
        ctx.save_for_backward(torch.as_tensor(gradient).to(theta))
        return torch.as_tensor(value).to(theta)

    @staticmethod
    def backward(ctx, grad_output):
        (gradient,) = ctx.saved_tensors
        return grad_output[:, None] * gradient, None
