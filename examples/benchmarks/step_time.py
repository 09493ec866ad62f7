"""Milliseconds of a training step against the least that its arithmetic and memory traffic could take.

The floor is the greater of two times: the multiply-adds of all matrix products (forwards, and twice as many
backwards) at the measured rate of a large product, and the bytes that have to be written and read once (hidden
units, layers' inputs and outputs, parameters, gradients and the optimizer's state) at the measured rate of a copy.

On the CPU the time is CPU time, or with --wall that on the clock, and a lower quartile of single steps. On a GPU, where
steps are replays of a CUDA graph, or with --plain are not, it is the difference of a long and a short training on the
clock. The smallest of the shapes that a GPU does faster than `--wall --threads` of the CPU is where the two cross.

python examples/benchmarks/step_time.py [--steps 30] [--threads 1] [--wall] [--device cuda] [--plain]
"""

import argparse
import math
import statistics
import time
from functools import partial

import torch

from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import make_flow
from skflowmix.modules.mixture import FlowMixture
from skflowmix.training import RowBatches, Rows, TrainingOptions, cuda_graph, loop, train

SHAPES = [
    (2, 2, 2, 32, 256, "realnvp"),
    (5, 2, 6, 32, 256, "realnvp"),
    (10, 2, 6, 32, 512, "realnvp"),
    (10, 2, 6, 32, 512, "nsf"),
    (10, 43, 6, 64, 512, "realnvp"),
    (10, 64, 6, 128, 1024, "realnvp"),
]
N_PARAMETERS = {"realnvp": 2, "nsf": 23}
WARM_UP = STEPS_PER_ITERATION = 10


def seconds(action, clock, repeats=20):
    times = []
    for _ in range(repeats):
        start = clock()
        action()
        times.append(clock() - start)
    return min(times)


def gpu_clock():
    torch.cuda.synchronize()
    return time.perf_counter()


def machine_rates(clock, device):
    """Multiply-adds a second of a large product, and bytes a second of a copy that no cache holds."""
    a, b = torch.randn(2, 2048, 2048, device=device)
    product = torch.empty_like(a)
    source = torch.zeros(2**25, device=device)
    target = torch.zeros_like(source)
    return (
        2048**3 / seconds(lambda: torch.mm(a, b, out=product), clock, repeats=5),
        2 * source.nbytes / seconds(lambda: target.copy_(source), clock, repeats=5),
    )


def multiply_adds_and_bytes(K, D, n_layers, hidden, batch, flow):
    """Of a step: matrix products forwards and backwards, and single-precision numbers that pass through memory."""
    weights = D * D
    numbers = 2 * D * batch
    for layer in range(n_layers):
        n_kept = D // 2 if layer % 2 == 0 else D - D // 2
        n_raw = N_PARAMETERS[flow] * (D - n_kept)
        weights += n_kept * hidden + hidden**2 + hidden * n_raw
        numbers += batch * (2 * hidden + n_raw + D)
    # Each number is written forwards and read backwards, as its gradient is; Adam reads four and writes three.
    return 3 * K * weights * batch, 4 * K * (4 * numbers + 9 * weights)


class StepClock(Normal):
    """A base that notes when each step begins to need it."""

    def __init__(self, n_components, n_features, clock):
        super().__init__(n_components, n_features)
        self.clock, self.times = clock, []

    def log_prob(self, z):
        if torch.is_grad_enabled():
            self.times.append(self.clock())
        return super().log_prob(z)


def train_some_steps(K, D, n_layers, hidden, batch, flow, *, base, max_iter, device, clock):
    """Seconds of a training of ten steps an iteration."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(STEPS_PER_ITERATION * batch, D, generator=generator)
    layers = make_flow(flow, K, D, n_layers=n_layers, hidden_layer_sizes=(hidden, hidden), generator=generator)
    mixture = FlowMixture(layers, base, K)
    mixture.initialize(x, torch.rand(len(x), K, generator=generator))
    rows = Rows(x.to(device), torch.ones(len(x), device=device))
    options = TrainingOptions(max_iter=max_iter, learning_rate=1e-3, n_iter_no_change=10**6)
    batches = RowBatches(rows, batch, noise=1e-3, generator=torch.Generator(device).manual_seed(0))
    mixture = mixture.to(device)
    start = clock()
    train(mixture, batches, options)
    return clock() - start


def step_time(K, D, *sizes, n_steps, clock):
    """Lower quartile of the seconds from one step's log-densities to the next one's."""
    base, max_iter = StepClock(K, D, clock), math.ceil((n_steps + WARM_UP) / STEPS_PER_ITERATION)
    train_some_steps(K, D, *sizes, base=base, max_iter=max_iter, device="cpu", clock=clock)
    steps = [later - earlier for earlier, later in zip(base.times, base.times[1:], strict=False)]
    return statistics.quantiles(steps[WARM_UP:], n=4)[0]


def step_time_on_gpu(K, D, *sizes, n_steps, clock, device):
    """Seconds of a step among so many that follow the capture; Python has no part in them that could note the time."""
    n_before = math.ceil(cuda_graph.N_PLAIN_STEPS / STEPS_PER_ITERATION) + 1
    n_timed = math.ceil(n_steps / STEPS_PER_ITERATION)
    _, short, long = (
        train_some_steps(K, D, *sizes, base=Normal(K, D), max_iter=max_iter, device=device, clock=clock)
        for max_iter in (n_before, n_before, n_before + n_timed)
    )
    return (long - short) / (n_timed * STEPS_PER_ITERATION)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true", help="seconds on the clock, for more than one thread")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--plain", action="store_true", help="steps that are not captured in a CUDA graph")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.device == "cpu":
        clock = time.perf_counter if arguments.wall else time.process_time
        measure = partial(step_time, n_steps=arguments.steps, clock=clock)
    else:
        clock = gpu_clock
        measure = partial(step_time_on_gpu, n_steps=max(arguments.steps, 200), clock=clock, device=arguments.device)
    if arguments.plain:
        loop.fastest_step = lambda step, device: step
    flop_rate, byte_rate = machine_rates(clock, arguments.device)
    print(f"product: {2e-9 * flop_rate:.0f} GFlop/s, copy: {1e-9 * byte_rate:.1f} GB/s, {arguments.threads} thread(s)")
    print("| K, D, layers, hidden, batch, flow | step, ms | floor, ms | ratio |\n|---|--:|--:|--:|")
    for shape in SHAPES:
        n_products, n_bytes = multiply_adds_and_bytes(*shape)
        floor = max(n_products / flop_rate, n_bytes / byte_rate)
        step = measure(*shape)
        print(
            f"| {', '.join(map(str, shape))} | {1e3 * step:.1f} | {1e3 * floor:.2f} | {step / floor:.1f} |", flush=True
        )
