"""The training step as a CUDA graph: all of its kernels in one launch.

A graph repeats the operations that it has recorded, on the memory that they had then; no Python runs again. So the
rows of each step, noise included, are drawn outside and copied into one batch that stays, and step sizes, moments and
parameters change in place. What changes with the iteration is the objective's `progress`: while it does, steps are
taken one by one, and so are the first ones after that, which do what torch leaves to a first time. The plain step is
what the graph must equal, and what is left where a step cannot be captured.

The protocol is torch's for a whole network: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from functools import partial

import torch

N_PLAIN_STEPS = 20


def fastest_step(step, device):
    """A `Step`, which on a CUDA device is captured once it has been taken a few times."""
    return CapturedStep(step, CudaGraph(device)) if device.type == "cuda" else step


class CapturedStep:
    """A `Step` that is captured in a graph and replayed; it is called as the step is.

    Parameters
    ----------
    step : Step
    graph : CudaGraph

    Attributes
    ----------
    is_captured : bool or None
        None before the steps that are taken one by one have been taken, and False where capture failed.
    """

    def __init__(self, step, graph):
        self.step, self.graph = step, graph
        self.n_plain_steps, self.is_captured = 0, None

    def __call__(self, batch, progress):
        """Take a step; as `Step`, but what was returned before may be overwritten."""
        if self.is_captured is None and progress == 1 and self.n_plain_steps == N_PLAIN_STEPS:
            self.is_captured = self._capture(batch)
        if not self.is_captured:
            self.n_plain_steps += progress == 1
            return self.graph.beside(partial(self.step, batch, progress))
        for column, new in zip(vars(self.batch).values(), vars(batch).values(), strict=True):
            if column is not None:
                column.copy_(new, non_blocking=True)
        self.graph.replay()
        return self.result

    def slow_down(self, restart):
        self.step.slow_down(restart)

    @property
    def step_sizes(self):
        return self.step.step_sizes

    def _capture(self, batch):
        """Record a step, which takes none; whether it could be."""
        self.batch = batch.each(torch.clone)
        try:
            self.result = self.graph.capture(partial(self.step, self.batch, 1.0))
        except RuntimeError:
            return False
        return True


class CudaGraph:
    """A CUDA graph and the side stream that torch wants for what is captured.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device):
        self.stream = torch.cuda.Stream(device)

    def beside(self, function):
        """Call a function on the side stream, after what the current stream has to do and before what it is given then.

        No node of autograd that is made on another stream may be there in the capture.
        """
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = function()
        current.wait_stream(self.stream)
        return result

    def capture(self, function):
        """Record what a function does, without doing it; returns what it returned, to be filled by `replay`.

        Raises
        ------
        RuntimeError
            If it does something that no graph can hold. Nothing has been done then.
        """
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.stream.device)
        # Where a capture does not end well torch leaves its stream the current one: the outer context puts that right.
        # Other threads may use the device meanwhile.
        with (
            torch.cuda.stream(current),
            torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"),
        ):
            result = function()
        self.graph = graph
        return result

    def replay(self):
        """Do what was recorded, in the order of the current stream."""
        self.graph.replay()
