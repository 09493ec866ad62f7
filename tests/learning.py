"""Training on rows in one call, for tests of what is learned rather than of where batches come from."""

from skflowmix.training import RowBatches, TrainingOptions, train

OF_BATCHES = {"batch_size": "most", "noise": "noise", "neighbor_noise": "neighbor_noise"}


def batches_of(rows, options, *, neighbors=None, generator=None):
    """RowBatches, by those of the options that are theirs."""
    chosen = {name: options[key] for key, name in OF_BATCHES.items() if key in options}
    return RowBatches(rows, neighbors=neighbors, generator=generator, **chosen)


def learn(model, rows, options, *, solve=train, neighbors=None, generator=None, **how):
    """As `train`, with a dictionary of options of the loop and of batches."""
    batches = batches_of(rows, options, neighbors=neighbors, generator=generator)
    of_the_loop = {name: value for name, value in options.items() if name not in OF_BATCHES}
    return solve(model, batches, TrainingOptions(**of_the_loop), **how)
