"""Between numpy and torch: devices, types, generators, and evaluation in chunks."""

from contextlib import ExitStack, contextmanager

import numpy as np
import torch

from .default_dtype import single_precision
from .modules.workload import rows_at_once
from .threads import one_torch_thread

_SHARE_OF_ROWS = 0.25  # They are there twice, once all of them and once split, and steps need memory, too.


def resolve_device(device):
    """The torch device that a `device` parameter names.

    Parameters
    ----------
    device : str or torch.device
        "auto" takes a CUDA device if there is one; others ("mps", "xpu") have to be named.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.device_count() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
        torch.Generator(device=chosen)  # meta has none, since it holds no numbers
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device={device!r} is not available; use 'auto' or one of {_present()}.") from error
    return chosen


def _present():
    """Names of the devices that there are: the CPU, CUDA's, and those of another accelerator."""
    counts = {"cuda": torch.cuda.device_count()}
    accelerator = torch.accelerator.current_accelerator()
    if accelerator is not None:
        counts[accelerator.type] = torch.accelerator.device_count()
    return ["cpu", *(f"{kind}:{i}" for kind, count in counts.items() for i in range(count))]


def in_double(module):
    """A module in float64, on the CPU where its device has no such numbers."""
    if next(module.parameters()).device.type == "mps":
        module = module.cpu()
    return module.double()


def device_of_rows(n_bytes, device):
    """Where to keep the rows of a fit: the device if it has ample room for so many bytes, else the CPU.

    Batches are then sent to the device one by one.
    """
    if device.type != "cuda":
        return device
    free, _ = torch.cuda.mem_get_info(device)
    return device if n_bytes <= _SHARE_OF_ROWS * free else torch.device("cpu")


def seeded_generator(seed, device):
    """A generator on a device that owes nothing to torch's global one."""
    return torch.Generator(device=device).manual_seed(int(seed))


@contextmanager
def seeded_global_generators(seed, device):
    """Torch's global generators of the CPU and a device, of which modules of a user's own draw, seeded for a while.

    They are left as found, and those of other devices alone, which `torch.manual_seed` would seed as well.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(int(seed))
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(int(seed))
        yield


def evaluate_in_chunks(function, X, mixture=None, *, size=None):
    """Apply a function of rows to all rows; beyond what it returns, memory is that of a few chunks.

    Parameters
    ----------
    function : callable
        ndarray of shape (n, D) -> Tensor of shape (n, ...).
    X : ndarray of shape (N, D)
    mixture : FlowMixture, default=None
        Whose size the chunks are made for.
    size : int, default=None
        Rows of a chunk; None leaves that to the mixture.

    Returns
    -------
    ndarray of shape (N, ...)
    """
    size, results = rows_at_once(mixture) if size is None else size, None
    with undisturbed(), one_torch_thread(), torch.no_grad():
        for start in range(0, len(X), size):
            result = function(X[start : start + size]).cpu().numpy()
            if results is None:
                results = np.empty((len(X), *result.shape[1:]), dtype=result.dtype)
            results[start : start + size] = result
    return results


@contextmanager
def undisturbed():
    """The same numbers whatever is set around: gradients, inference mode, autocast, defaults, numpy's errors."""
    with ExitStack() as settings:
        settings.enter_context(single_precision())
        settings.enter_context(np.errstate(all="ignore"))
        settings.enter_context(torch.inference_mode(False))
        settings.enter_context(torch.enable_grad())
        for device in ("cpu", "cuda", "mps", "xpu"):
            if torch.is_autocast_enabled(device):
                settings.enter_context(torch.autocast(device, enabled=False))
        if torch.get_default_device().type != "cpu":
            settings.enter_context(torch.device("cpu"))
        yield
