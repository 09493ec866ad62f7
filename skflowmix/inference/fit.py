"""A fit, from a log-density and settings to a fitted posterior: look, start, train, judge."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from sklearn.utils import check_random_state

from ..bridge import resolve_device, seeded_generator
from ..modules import BASES, FOR_DRAWS, FlowMixture, StudentT, make_flow, make_shared_layers
from ..training import QUIET, Noise, NoiseBatches, TrainingOptions, train
from .approximation import Approximation, Seen
from .coordinates import Coordinates
from .extended import ExtendedDivergence, ExtendedMixture, new_chain
from .fitted import FittedPosterior, Verdict
from .importance import effective_size, evidence, pareto_smoothed
from .objective import ReverseDivergence
from .settings import check_posterior_settings
from .start import cloud, find_start
from .target import Target

_STEPS_PER_ITERATION = 25
_AVERAGING = 0.98  # over 50 steps, which are noisy: new draws decide about each
_DRAWS_THAT_DECIDE = 2048
_DRAWS_THAT_JUDGE = 10_000
_FIRST_TEMPERATURE = 0.1
_LEAST_VARIANCE = 1e-12
_BASES = BASES | {"student_t": partial(StudentT, initial_df=30.0)}  # nearly normal, as posteriors mostly are


def fit_posterior(settings, log_density, n_features, *, report=QUIET):
    """Fit a mixture of flows to an unnormalised log-density.

    Parameters
    ----------
    settings : PosteriorSettings
    log_density : callable
        As of `Target`.
    n_features : int
    report : Report, default=QUIET

    Returns
    -------
    FittedPosterior

    Raises
    ------
    ValueError, TypeError
        If settings do not fit each other, or the log-density is not what it has to be.
    """
    check_posterior_settings(settings)
    random_state = check_random_state(settings.random_state)
    device = resolve_device(settings.device)
    coordinates, dtype = Coordinates.within(settings.bounds, n_features, device), getattr(torch, settings.dtype)
    how_asked = {"vectorized": settings.vectorized, "dtype": dtype, "interior": coordinates.interior(dtype)}
    target = Target(log_density, **how_asked)
    generator = seeded_generator(_seed(random_state), device)
    temperature = _FIRST_TEMPERATURE if settings.annealing_iter else 1.0
    with report.phase("start"):
        points, reach = cloud(n_features, generator=generator, device=device)
        theta, _ = coordinates.to_theta(points)
        target.probe(theta)
        level = float(Seen(target, coordinates)(points).max())
        how = {"temperature": temperature, "generator": generator}
        start = find_start(Seen(target, coordinates, level), points, reach, settings.n_components, **how)
        coordinates, start = _in_units_of(start, coordinates)
        seed = _seed(random_state)
        mixture, chain = new_mixture(settings, start, seed).to(device), new_chain(settings, start, seed, device)
        if chain is not None and chain.needs_slope:
            target.probe_curvature(theta)
    loss = Seen(target, coordinates), temperature
    model, objective = mixture, ReverseDivergence(*loss)
    if chain is not None:
        model, objective = ExtendedMixture(mixture, chain), ExtendedDivergence(*loss)
    converged, history = _train(settings, mixture, model, objective, generator, report)
    approximation = Approximation(mixture.double(), coordinates, target, chain if chain is None else chain.double())
    verdict = None if history.interrupted else _judge_unless_interrupted(approximation, _seed(random_state), history)
    return FittedPosterior(approximation, start.n_modes, converged, history, verdict)


def _seed(random_state):
    return random_state.randint(np.iinfo(np.int32).max)


def _in_units_of(start, coordinates):
    """Coordinates in which a start has mean zero and scale one, and the start in those."""
    components, weight = start.components, start.log_weight.exp()[:, None]
    location = (weight * components.mean).sum(0)
    variance = (components.mean - location).square() + components.cholesky.square().sum(2)
    scale = (weight * variance).sum(0).sqrt()
    components = replace(
        components, mean=(components.mean - location) / scale, cholesky=components.cholesky / scale[:, None]
    )
    return coordinates.scaled(location, scale), replace(start, components=components)


def new_mixture(settings, start, seed):
    """A mixture whose components are the Gaussians of a start, exactly if their base is normal.

    The points that each is initialised from are its mean plus and minus sqrt(D) times each column of its Cholesky
    factor, which have its moments.
    """
    components = start.components
    n_components, n_features = components.mean.shape
    sizes = {
        "n_layers": settings.n_layers,
        "n_shared_layers": settings.n_shared_layers,
        "hidden_layer_sizes": tuple(settings.hidden_layer_sizes),
        "presets": FOR_DRAWS,
        "generator": seeded_generator(seed, "cpu"),
    }
    flow = make_flow(settings.flow, n_components, n_features, reg_covar=_LEAST_VARIANCE, **sizes)
    shared = make_shared_layers(settings.flow, n_features, **sizes) if settings.n_shared_layers else None
    base = _BASES[settings.base](n_components, n_features)
    mixture = FlowMixture(flow, base, n_components, shared=shared).double()
    arms = n_features**0.5 * components.cholesky.mT
    x = (components.mean[:, None] + torch.cat([arms, -arms], 1)).flatten(0, 1).cpu()
    owner = torch.arange(n_components).repeat_interleave(2 * n_features)
    share = 1e8 * start.log_weight.exp().cpu()  # so much that what `initialize` adds to covariances is nothing
    mixture.initialize(x, torch.nn.functional.one_hot(owner, n_components) * share)
    return mixture.to(getattr(torch, settings.dtype))


def _train(settings, mixture, model, objective, generator, report):
    """Train a mixture, as all of a model or with the chain behind it."""
    like = {"dtype": mixture.logits.dtype, "device": mixture.logits.device, "generator": generator}

    def draw(n):
        noise = mixture.base.noise((mixture.n_components, n, mixture.base.n_features), **like)
        if model is not mixture:
            noise = torch.cat([noise, torch.randn(mixture.n_components, n, model.chain.n_noise, **like)], 2)
        return noise.transpose(0, 1)

    options = TrainingOptions(
        max_iter=settings.max_iter,
        ramp_iter=settings.annealing_iter,
        learning_rate=settings.learning_rate_init,
        n_iter_no_change=settings.n_iter_no_change,
        tol=settings.tol,
        averaging=_AVERAGING,
    )
    _, converged, history = train(
        model,
        NoiseBatches(draw, max(settings.n_draws // mixture.n_components, 1), _STEPS_PER_ITERATION),
        options,
        objective=objective,
        validation=Noise(draw(_DRAWS_THAT_DECIDE // mixture.n_components + 1)),
        report=report,
    )
    return converged, history


def _judge_unless_interrupted(approximation, seed, history):
    try:
        return judge(approximation, seed)
    except KeyboardInterrupt:
        history.interrupted = True
        return None


def judge(approximation, seed):
    """What draws of an approximation say of it, a `Verdict`."""
    _, log_weight = approximation.weighted_draws(_DRAWS_THAT_JUDGE, approximation.target, seed)
    positive = log_weight > -np.inf
    if not positive.any():
        raise ValueError("log_density is NaN or -inf at all draws of the mixture that was fitted to it.")
    smooth, k = pareto_smoothed(log_weight)
    log_evidence, standard_error = evidence(smooth)
    return Verdict(
        elbo=float(log_weight[positive].mean()),
        log_evidence=log_evidence,
        log_evidence_se=standard_error,
        ess=effective_size(smooth),
        pareto_k=k,
        n_draws=len(log_weight),
        n_nil=int((~positive).sum()),
    )
