"""Seconds of training: this package against loops over the flows of others, in one process, by turns.

A peer is a mixture of K flows of its own, each of which is called for each batch, with the same data, K, layers, width,
batch size and Adam. The tables hold medians of the seconds for each pass over the rows, and seconds until the held-out
log-likelihood is what the peer had at the end of its training. Ours count the start and all of training, both without
scoring, as an estimator does it: rows are blurred towards their neighbours. Peers that are not installed are named and
left out.

python examples/benchmarks/speed.py [--device cpu] [--data FILE ...] [--only NAME ...] [--rounds 3] [--passes 30]
    [--flow realnvp nsf]
"""

import argparse
import statistics
import time
import warnings

import numpy as np
import torch
from presets import file_data, shipped_data
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skflowmix.fitting import INITIALIZERS
from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import make_flow
from skflowmix.modules.mixture import FlowMixture
from skflowmix.training import LikelihoodObjective, RowBatches, RowObjective, Rows, TrainingOptions, train

PEER_STEP_SIZE = 1e-3
BEFORE = 4  # Iterations after which a GPU's steps are replays of a CUDA graph.
N_NEIGHBORS, NEIGHBOR_NOISE = 5, 0.5  # those of the estimators


class Loop(torch.nn.Module):
    """A mixture that calls its flows one after the other."""

    def __init__(self, flows, log_prob):
        super().__init__()
        self.flows, self.flow_log_prob = torch.nn.ModuleList(flows), log_prob
        self.logits = torch.nn.Parameter(torch.zeros(len(flows)))

    def log_prob(self, x):
        joint = torch.stack([self.flow_log_prob(flow, x) for flow in self.flows], -1) + self.logits.log_softmax(0)
        return joint.logsumexp(-1)


def zuko(flow, K, D, layers, hidden):
    from zuko.flows import MAF, NSF

    make = {"realnvp": MAF, "nsf": NSF}[flow]
    sizes = {"transforms": layers, "passes": 2, "hidden_features": (hidden, hidden)}
    return Loop([make(D, **sizes) for _ in range(K)], lambda flow, x: flow().log_prob(x))


def nflows(flow, K, D, layers, hidden):
    from nflows import distributions, flows, nn, transforms

    class Perceptron(nn.nets.MLP):
        def forward(self, inputs, context=None):
            return super().forward(inputs)

    def net(n_in, n_out):
        return Perceptron((n_in,), (n_out,), (hidden, hidden))

    def one():
        masks = [torch.arange(D) % 2 == layer % 2 for layer in range(layers)]
        if flow == "realnvp":
            steps = [transforms.AffineCouplingTransform(mask, net) for mask in masks]
        else:
            spline = transforms.PiecewiseRationalQuadraticCouplingTransform
            steps = [spline(mask, net, num_bins=8, tails="linear", tail_bound=5.0) for mask in masks]
        return flows.Flow(transforms.CompositeTransform(steps), distributions.StandardNormal([D]))

    return Loop([one() for _ in range(K)], lambda flow, x: flow.log_prob(x))


def normflows(flow, K, D, layers, hidden):
    import normflows as nf

    def one():
        if flow == "nsf":
            steps = [
                nf.flows.CoupledRationalQuadraticSpline(D, 1, hidden, tail_bound=5.0, reverse_mask=layer % 2 == 1)
                for layer in range(layers)
            ]
        else:
            masks = [(torch.arange(D) % 2 == layer % 2).float() for layer in range(layers)]
            nets = [[nf.nets.MLP([D, hidden, hidden, D], init_zeros=True) for _ in range(2)] for _ in range(layers)]
            steps = [nf.flows.MaskedAffineFlow(mask, *pair) for mask, pair in zip(masks, nets, strict=True)]
        return nf.NormalizingFlow(nf.distributions.DiagGaussian(D), steps)

    return Loop([one() for _ in range(K)], lambda flow, x: flow.log_prob(x))


def torchflows(flow, K, D, layers, hidden):
    from torchflows.bijections.finite.autoregressive.architectures import CouplingRQNSF, RealNVP
    from torchflows.flows import Flow, FlowMixture

    make = {"realnvp": RealNVP, "nsf": CouplingRQNSF}[flow]
    sizes = {"n_layers": layers, "conditioner_kwargs": {"n_hidden": hidden, "n_layers": 2}}
    return FlowMixture([Flow(make(D, **sizes)) for _ in range(K)], trainable_weights=True)


PEERS = {"zuko": zuko, "nflows": nflows, "normflows": normflows, "torchflows": torchflows}


def installed_peers():
    for name in PEERS:
        try:
            __import__(name)
            yield name
        except ImportError as error:
            print(f"{name} left out: {error}")


def clock(device):
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


def train_peer(mixture, x, held_out, batch, n_passes, device):
    """(seconds of each pass, held-out log-likelihood at the end)."""
    mixture = mixture.to(device).train()
    optimizer = torch.optim.Adam(mixture.parameters(), PEER_STEP_SIZE)
    seconds = []
    for _ in range(n_passes):
        start = clock(device)
        order = torch.randperm(len(x), device=device)
        for index in order[: len(x) // batch * batch].view(-1, batch):
            optimizer.zero_grad(set_to_none=True)
            (-mixture.log_prob(x[index]).mean()).backward()
            optimizer.step()
        seconds.append(clock(device) - start)
    with torch.no_grad():
        return seconds, mixture.eval().log_prob(held_out).mean().item()


class Watched(RowObjective):
    """The likelihood, with the seconds since the start, less those of scoring, whenever rows are scored."""

    def __init__(self, device):
        self.likelihood, self.device = LikelihoodObjective(), device
        self.start, self.times = clock(device), []

    def demands(self, model):
        return self.likelihood.demands(model)

    def __call__(self, model, rows, progress=1.0):
        if torch.is_grad_enabled():
            return self.likelihood(model, rows, progress)
        begin = clock(self.device)
        self.times.append(begin - self.start)
        loss = self.likelihood(model, rows, progress)
        self.start += clock(self.device) - begin
        return loss


def start_ours(flow, K, x, layers, hidden, device):
    """A mixture started at the Gaussians of k-means."""
    generator = torch.Generator().manual_seed(0)
    D = x.shape[1]
    rows = x.double().cpu().numpy()
    resp = INITIALIZERS["kmeans"](rows, K, np.ones(len(rows)), np.random.RandomState(0))
    layers = make_flow(flow, K, D, n_layers=layers, hidden_layer_sizes=(hidden, hidden), generator=generator)
    mixture = FlowMixture(layers, Normal(K, D), K)
    resp = torch.as_tensor(resp, dtype=x.dtype)
    mixture.initialize(x.cpu(), resp)
    return mixture.to(device)


def seconds_of_ours(flow, K, x, layers, hidden, batch, n_passes, device):
    """Seconds of a pass: the difference of two trainings."""
    rows = Rows(x, torch.ones_like(x[:, 0]))
    seconds = []
    for max_iter in (BEFORE, BEFORE + n_passes):
        mixture = start_ours(flow, K, x, layers, hidden, device)
        batches = RowBatches(rows, batch, noise=1e-3, generator=torch.Generator(device).manual_seed(0))
        start = clock(device)
        train(mixture, batches, TrainingOptions(max_iter=max_iter, n_iter_no_change=10**6))
        seconds.append(clock(device) - start)
    return (seconds[1] - seconds[0]) / n_passes


def curve_of_ours(flow, K, x, held_out, layers, hidden, batch, device):
    """Seconds since the start, and held-out log-likelihood, before and after each iteration of a whole fit."""
    warm = RowBatches(Rows(x[:10], torch.ones_like(x[:10, 0])))
    train(start_ours(flow, K, x, layers, hidden, device), warm, TrainingOptions(max_iter=1))
    objective = Watched(device)
    mixture = start_ours(flow, K, x, layers, hidden, device)
    scored = Rows(held_out, torch.ones_like(held_out[:, 0]))
    found = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(x.cpu()).kneighbors(return_distance=False)
    batches = RowBatches(
        Rows(x, torch.ones_like(x[:, 0])),
        batch,
        noise=1e-3,
        neighbors=torch.as_tensor(found, device=device),
        neighbor_noise=NEIGHBOR_NOISE,
        generator=torch.Generator(device).manual_seed(0),
    )
    *_, history = train(mixture, batches, TrainingOptions(), objective=objective, validation=scored)
    n_chunks = len(objective.times) // (len(history.validation_score) + 1)
    scores = [score[0] for score in history.validation_score]
    return objective.times[n_chunks::n_chunks], scores


def time_to(score, times, scores):
    return next((seconds for seconds, reached in zip(times, scores, strict=True) if reached >= score), None)


def gaussian_mixture_seconds(K, x):
    rows = x.double().cpu().numpy()
    start = time.perf_counter()
    GaussianMixture(K, random_state=0).fit(rows)
    line = f"GaussianMixture fit: {time.perf_counter() - start:.3f} s"
    try:
        from tgmm import GaussianMixture as TorchGaussianMixture
    except ImportError as error:
        return f"{line}; tgmm left out: {error}"
    start = time.perf_counter()
    TorchGaussianMixture(n_components=K, n_features=x.shape[1], device=str(x.device)).fit(x)
    return f"{line}; tgmm fit: {time.perf_counter() - start:.3f} s"


def compare(flow, K, x, held_out, peers, options):
    """Print a row of the table for each peer; its ratio of seconds for each pass."""
    sizes = (options.layers, options.hidden)
    batch = min(options.batch, len(x) // 10)  # Ten steps, which are one of our iterations.
    times, scores = curve_of_ours(flow, K, x, held_out, *sizes, batch, options.device)
    for name in peers:
        ours, theirs, ends = [], [], []
        for seed in range(options.rounds):
            ours.append(seconds_of_ours(flow, K, x, *sizes, batch, 4, options.device))
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                mixture = PEERS[name](flow, K, x.shape[1], *sizes)
                seconds, end = train_peer(mixture, x, held_out, batch, options.passes, options.device)
            theirs.append(statistics.median(seconds))
            ends.append((end, sum(seconds)))
        end, total = sorted(ends)[len(ends) // 2]
        ratio = statistics.median(theirs) / statistics.median(ours)
        reached = time_to(end, times, scores)
        until = "not reached |" if reached is None else f"{reached:.2f} | {total / reached:.1f}"
        print(
            f"| {flow} | {name} | {1e3 * statistics.median(ours):.0f} | {1e3 * statistics.median(theirs):.0f} | "
            f"{ratio:.1f} | {end:.3f} | {total:.2f} | {until} |",
            flush=True,
        )
        yield ratio


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--data", nargs="*", default=[])
    parser.add_argument("--only", nargs="*", help="names of the sets to use")
    parser.add_argument("--max-rows", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes", type=int, default=30)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--flow", nargs="*", default=["realnvp", "nsf"], choices=["realnvp", "nsf"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    peers, ratios = list(installed_peers()), []
    sets = [*shipped_data(0), *(file_data(path, options.max_rows, 0) for path in options.data)]
    for name, K, X, X_test in sets:
        if options.only is not None and name not in options.only:
            continue
        scaler = StandardScaler().fit(X)
        x, held_out = (
            torch.as_tensor(scaler.transform(part), dtype=torch.float32, device=options.device) for part in (X, X_test)
        )
        print(f"\n{name}: {len(x)} rows of {x.shape[1]} features, K={K}. {gaussian_mixture_seconds(K, x)}\n")
        print("| flow | peer | ours, ms/pass | peer, ms | ratio | peer's score | after, s | ours there, s | ratio |")
        print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
        for flow in options.flow:
            ratios.extend(compare(flow, K, x, held_out, peers, options))
    print(f"\nGeometric mean of the ratios of a pass: {statistics.geometric_mean(ratios):.2f}")


if __name__ == "__main__":
    main()
