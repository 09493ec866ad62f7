"""The reverse divergence of a mixture from a density, and its gradient."""

import math

import pytest
import torch

from skflowmix.inference.objective import PRICE, ReverseDivergence
from skflowmix.modules import BASES, FOR_DRAWS, FlowMixture, Normal, make_flow
from skflowmix.modules.transforms import Planar
from skflowmix.training import Noise


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise_of(mixture, n, seed=0):
    shape = (mixture.n_components, n, mixture.base.n_features)
    return Noise(mixture.base.noise(shape, generator=seeded(seed), dtype=torch.float64).transpose(0, 1))


def gradients(loss, mixture):
    return torch.autograd.grad(loss, list(mixture.parameters()), allow_unused=True, materialize_grads=True)


def bent(x):
    return -0.5 * (x[:, 0] / 2).square() - 0.5 * (x[:, 1] - 0.3 * x[:, 0].square()).square()


@pytest.mark.parametrize("base", BASES)
def test_loss_and_gradient_vanish_at_the_exact_posterior(make_mixture, base):
    """Without noise: for every draw, and for weights, flows and base."""
    mixture = make_mixture("realnvp", 3, base=base)
    exact = make_mixture("realnvp", 3, base=base)
    loss = ReverseDivergence(lambda x: exact.log_prob(x) + 5)(mixture, noise_of(mixture, 50))
    torch.testing.assert_close(loss, torch.full_like(loss, -5))
    for gradient in gradients(loss.sum(), mixture):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-9, rtol=0)


def test_gradient_of_the_weights_is_that_by_brute_force(make_mixture):
    """The integral over the plane of q (log q - log p), differentiated as it stands."""
    mixture = make_mixture("affine", 3)
    axis = torch.arange(-20, 20, 0.1, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    log_q = mixture.log_prob(grid)
    (exact,) = torch.autograd.grad((log_q.exp() * (log_q - bent(grid))).sum() * 0.01, mixture.logits)
    loss = ReverseDivergence(bent)(mixture, noise_of(mixture, 100_000)).mean()
    (found,) = torch.autograd.grad(loss, mixture.logits)
    torch.testing.assert_close(found, exact, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("base", ["normal", "student_t"])
def test_gradient_is_in_the_mean_that_of_the_whole_loss(make_mixture, base):
    """Parameters of log q that count as constants cost nothing but noise."""
    mixture = make_mixture("realnvp", 2, base=base)
    batch = noise_of(mixture, 200_000)
    x, log_q = mixture.restart_transport(mixture.base.from_noise(batch.z.transpose(0, 1)))
    log_p = bent(x.flatten(0, 2)).view(log_q.shape)
    whole = (mixture.log_weights().exp()[:, :, None] * (log_q - log_p)).sum(1).mean()
    stuck = ReverseDivergence(bent)(mixture, batch).mean()
    torch.testing.assert_close(stuck, whole)
    whole, stuck = (torch.cat([g.flatten() for g in gradients(loss, mixture)]) for loss in (whole, stuck))
    assert torch.cosine_similarity(stuck, whole, 0) > 0.99


def test_temperature_rises_to_one(make_mixture):
    mixture = make_mixture("affine", 1)
    batch, objective = noise_of(mixture, 10), ReverseDivergence(bent, first_temperature=0.2)
    cold, hot, half = (objective(mixture, batch, progress) for progress in (1.0, 0.0, 0.5))
    torch.testing.assert_close(cold, ReverseDivergence(bent)(mixture, batch))
    torch.testing.assert_close(half, (cold + hot) / 2)
    assert not objective.is_scored_in_full


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("level", [-1000.0, 0.0, 1000.0])
def test_draws_without_density_cost_a_price_more_than_the_others(make_mixture, level, progress):
    """Whatever the evidence and the temperature are."""
    mixture = make_mixture("affine", 1)
    batch = noise_of(mixture, 400)
    nil = mixture.restart_place(batch.z.transpose(0, 1)).flatten(0, 2)[:, 0] > 0

    def half(x):
        return torch.where(x[:, 0] > 0, -torch.inf, level + bent(x))

    loss = ReverseDivergence(half, first_temperature=0.1)(mixture, batch, progress).squeeze(0)
    assert 0 < nil.sum() < 400
    torch.testing.assert_close(loss[nil], (loss[~nil].mean() + PRICE).expand(int(nil.sum())))


def test_draws_without_density_push_it_away():
    """A half line: the mean of a normal density is moved into it, though the target has no slope there."""
    mixture = FlowMixture(make_flow("affine", 1, 1), Normal(1, 1), 1).double()
    mixture.flow.transforms[0].set_gaussian(torch.tensor([[-3.0]]).double(), torch.eye(1).double()[None])
    half = ReverseDivergence(lambda x: torch.where(x[:, 0] > 0, -0.5 * x[:, 0].square(), -torch.inf))
    loss = half(mixture, noise_of(mixture, 5000))
    assert loss.isfinite().all()
    gradient = dict(zip([n for n, _ in mixture.named_parameters()], gradients(loss.mean(), mixture), strict=True))
    assert gradient["flow.transforms.0.shift"].item() > 0, "a smaller shift is a greater mean"


@pytest.mark.parametrize("base", BASES)
def test_noise_makes_the_draws_of_a_base(base):
    density = BASES[base](2, 3)
    like = {"dtype": torch.float64}
    z = density.from_noise(density.noise((2, 5, 3), generator=seeded(), **like))
    torch.testing.assert_close(z, density.sample((2, 5, 3), generator=seeded(), **like))


def test_degrees_of_freedom_are_learned_from_draws():
    density = BASES["student_t"](1, 1).double()
    z = density.from_noise(density.noise((1, 50_000, 1), generator=seeded(), dtype=torch.float64))
    (slope,) = torch.autograd.grad(z.abs().mean(), density.log_excess_df)

    def mean_deviation(log_excess):
        df = 1 + math.exp(log_excess)
        return (
            2
            * math.sqrt(df)
            * math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2))
            / math.sqrt(math.pi)
            / (df - 1)
        )

    start = density.log_excess_df.item()
    assert slope.item() == pytest.approx((mean_deviation(start + 1e-4) - mean_deviation(start - 1e-4)) / 2e-4, rel=0.1)


@pytest.mark.parametrize("preset", ["planar", "radial"])
def test_bends_take_draws_without_a_search(preset, monkeypatch):
    sizes = {"n_layers": 3, "generator": seeded()}
    flow = make_flow(preset, 2, 2, presets=FOR_DRAWS, **sizes)
    z = torch.randn(2, 7, 2, generator=seeded())
    x, ladj = flow.inverse(z)
    torch.testing.assert_close(flow(x)[0], z, atol=1e-5, rtol=1e-5)

    def search(*_):
        raise AssertionError("searched")

    monkeypatch.setattr("skflowmix.modules.transforms.planar._solve_bend", search)
    monkeypatch.setattr("skflowmix.modules.transforms.planar._solve_distance", search)
    torch.testing.assert_close(flow.inverse(z)[1], ladj)
    if preset == "planar":
        with pytest.raises(AssertionError, match="searched"):
            make_flow(preset, 2, 2, **sizes).inverse(z)


def test_a_planar_layer_is_that_of_its_authors():
    """z + u tanh(w z + b), from the base on."""
    flow = make_flow("planar", 1, 2, presets=FOR_DRAWS, n_layers=1, generator=seeded())
    layer = flow.transforms[1].transform
    assert isinstance(layer, Planar)
    layer.shift.data.fill_(0.7)
    z = torch.randn(1, 7, 2, generator=seeded())
    torch.testing.assert_close(flow.inverse(z)[0], flow.transforms[0].inverse(layer(z)[0])[0])
