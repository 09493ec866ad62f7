"""Seconds of a step of `FlowAutoencoder`'s training against a plain loop of torch with the same networks.

Both take turns on the same rows, 784 random numbers from 0 to 1 that are drawn as zeros and ones for each batch, with
500 units in two hidden layers each way and 50 latent features. Seconds are the processor's, in one thread.

    python examples/benchmarks/autoencoder_epoch.py [--rows 6400] [--repeats 5]
"""

import argparse
import time
from itertools import islice

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skflowmix import FlowAutoencoder
from skflowmix.autoencoding import AutoencoderSettings
from skflowmix.autoencoding.architecture import new_autoencoder
from skflowmix.autoencoding.fit import Data
from skflowmix.autoencoding.objective import BoundObjective
from skflowmix.autoencoding.units import UNITS
from skflowmix.training.parameter_table import ParameterTable
from skflowmix.training.step import Step

N_FEATURES, N_UNITS, N_LATENT, BATCH = 784, 500, 50, 128


def network(n_inputs, n_outputs):
    hidden = nn.Linear(n_inputs, N_UNITS), nn.Softplus(), nn.Linear(N_UNITS, N_UNITS), nn.Softplus()
    return nn.Sequential(*hidden, nn.Linear(N_UNITS, n_outputs))


def plain(X):
    """A function that takes so many steps of a plain loop."""
    encoder, decoder, rows = network(N_FEATURES, 2 * N_LATENT), network(N_LATENT, N_FEATURES), torch.as_tensor(X)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)

    def take(n_steps):
        for index in torch.randperm(len(rows)).split(BATCH)[:n_steps]:
            x = torch.bernoulli(rows[index])
            mean, log_scale = encoder(x).chunk(2, 1)
            z = mean + log_scale.exp() * torch.randn_like(mean)
            loss = functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
            loss = loss - 0.5 * (1 + 2 * log_scale - mean.square() - (2 * log_scale).exp()).sum()
            optimizer.zero_grad()
            (loss / len(x)).backward()
            optimizer.step()

    return take


def ours(X):
    """The same of the loop of a fit."""
    model = FlowAutoencoder(N_LATENT, hidden_layer_sizes=(N_UNITS, N_UNITS), early_stopping=False, batch_size=BATCH)
    settings, units = AutoencoderSettings.of(model.get_params()), UNITS["bernoulli"](X)
    module = new_autoencoder(settings, "bernoulli", units, N_FEATURES, 0).train()
    data = Data.of(settings, units, X, "bernoulli", torch.device("cpu"), np.random.RandomState(0))
    objective = BoundObjective()
    batches = data.batches(settings, module).open(module, objective)
    step = Step(module, objective, ParameterTable(module, 1), learning_rate=1e-3, n_cuts=[0], alpha=0.0)

    def take(n_steps):
        for batch in islice(batches(1), n_steps):
            step(batch, 1.0)

    return take


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6400)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    X = np.random.default_rng(0).random((options.rows, N_FEATURES), dtype=np.float32)
    loops, n_steps = {"skflowmix": ours(X), "plain torch": plain(X)}, options.rows // BATCH
    seconds: dict[str, list] = {name: [] for name in loops}
    for repeat in range(options.repeats + 1):
        for name, take in loops.items():
            start = time.process_time()
            take(n_steps)
            if repeat:  # the first one is to warm up
                seconds[name].append((time.process_time() - start) / n_steps)
    for name, measured in seconds.items():
        print(f"{name}: {1000 * np.median(measured):.1f} ms a step, the least {1000 * min(measured):.1f} ms")
    ratio = np.median(seconds["skflowmix"]) / np.median(seconds["plain torch"])
    print(f"ratio of the medians: {ratio:.2f}")


if __name__ == "__main__":
    main()
