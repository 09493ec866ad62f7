"""Milliseconds of CPU time of a training step against the least that its arithmetic and memory traffic could take.

The floor is the greater of two times: the multiply-adds of all matrix products (forwards, and twice as many
backwards) at the measured rate of a large product, and the bytes that have to be written and read once (hidden
units, layers' inputs and outputs, parameters, gradients and the optimizer's state) at the measured rate of a copy.

python examples/benchmarks/step_time.py [--steps 30] [--threads 1] [--wall]
"""

import argparse
import statistics
import time

import torch

from skflowmix.bases import Normal
from skflowmix.flows import make_flow
from skflowmix.mixture import FlowMixture
from skflowmix.training import Rows, TrainingOptions, train

SHAPES = [
    (5, 2, 6, 32, 256, "realnvp"),
    (10, 2, 6, 32, 512, "realnvp"),
    (10, 2, 6, 32, 512, "nsf"),
    (10, 43, 6, 64, 512, "realnvp"),
    (10, 64, 6, 128, 1024, "realnvp"),
]
N_PARAMETERS = {"realnvp": 2, "nsf": 23}
WARM_UP = 10


def seconds(action, clock, repeats=20):
    times = []
    for _ in range(repeats):
        start = clock()
        action()
        times.append(clock() - start)
    return min(times)


def machine_rates(clock):
    """Multiply-adds a second of a large product, and bytes a second of a copy that no cache holds."""
    a, b = torch.randn(2, 2048, 2048)
    product = torch.empty_like(a)
    source = torch.zeros(2**25)
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


def step_time(K, D, n_layers, hidden, batch, flow, *, n_steps, clock):
    """Lower quartile of the seconds from one step's log-densities to the next one's."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(10 * batch, D, generator=generator)
    base = StepClock(K, D, clock)
    layers = make_flow(flow, K, D, n_layers=n_layers, hidden_layer_sizes=(hidden, hidden), generator=generator)
    mixture = FlowMixture(layers, base, K)
    mixture.initialize(x, torch.rand(len(x), K, generator=generator))
    options = TrainingOptions(
        max_iter=-(-(n_steps + WARM_UP) // 10), batch_size=batch, learning_rate=1e-3, noise=1e-3, n_iter_no_change=10**6
    )
    train(mixture, Rows(x, torch.ones(len(x))), options, generator=generator)
    steps = [later - earlier for earlier, later in zip(base.times, base.times[1:], strict=False)]
    return statistics.quantiles(steps[WARM_UP:], n=4)[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true", help="seconds on the clock, for more than one thread")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.perf_counter if arguments.wall else time.process_time
    flop_rate, byte_rate = machine_rates(clock)
    print(f"product: {2e-9 * flop_rate:.0f} GFlop/s, copy: {1e-9 * byte_rate:.1f} GB/s, {arguments.threads} thread(s)")
    print("| K, D, layers, hidden, batch, flow | step, ms | floor, ms | ratio |\n|---|--:|--:|--:|")
    for shape in SHAPES:
        n_products, n_bytes = multiply_adds_and_bytes(*shape)
        floor = max(n_products / flop_rate, n_bytes / byte_rate)
        step = step_time(*shape, n_steps=arguments.steps, clock=clock)
        print(
            f"| {', '.join(map(str, shape))} | {1e3 * step:.1f} | {1e3 * floor:.2f} | {step / floor:.1f} |", flush=True
        )
