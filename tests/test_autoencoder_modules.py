"""Parts of autoencoders: encoders, likelihoods and bounds against closed forms, quadrature and brute force."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from skflowmix.modules.autoencoder import Autoencoder, StandardNormal, Terms
from skflowmix.modules.chains import iaf_chain, planar_chain
from skflowmix.modules.dense import Dense, Perceptron
from skflowmix.modules.encoders import FlowEncoder, FullEncoder, HamiltonianEncoder, NormalEncoder
from skflowmix.modules.likelihoods import LIKELIHOODS, Bernoulli, DiscretizedLogistic, NormalLikelihood
from skflowmix.modules.transitions import leapfrog

N_FEATURES, N_LATENT, N_ROWS = 4, 3, 5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def network(n_inputs, seed=0):
    """What makes perceptrons in float64."""

    def make(n_outputs):
        made = Perceptron(n_inputs, (6,), n_outputs, generator=seeded(seed)).double()
        made.layers[-1].weight.data *= 0.4
        return made

    return make


def chain_encoder(make_chain):
    def make(make_network):
        sizes = {"n_steps": 2, "n_context": 2, "hidden_layer_sizes": (8,), "generator": seeded(1)}
        encoder = FlowEncoder(make_network, N_LATENT, make_chain=make_chain, **sizes).double()
        with torch.no_grad():
            for seed, parameter in enumerate(encoder.chain.parameters()):
                parameter += 0.2 * randn(*parameter.shape, seed=seed)
        return encoder

    return make


def hamiltonian(make_network):
    sizes = {"n_steps": 3, "n_context": 2, "hidden_layer_sizes": (8,), "generator": seeded(1)}
    encoder = HamiltonianEncoder(make_network, N_LATENT, **sizes).double()
    with torch.no_grad():
        encoder.chain.transitions[0].log_step -= 1
        encoder.chain.transitions[0].linear += 0.1 * randn(1, N_LATENT, N_LATENT)
        encoder.chain.transitions[0].network.weights[-1].add_(0.1 * randn(1, 2 * N_LATENT, 8))
    return encoder


ENCODERS = {
    "full": lambda make_network: FullEncoder(make_network, N_LATENT),
    "hamiltonian": hamiltonian,
    "iaf": chain_encoder(iaf_chain),
    "normal": lambda make_network: NormalEncoder(make_network, N_LATENT),
    "planar": chain_encoder(planar_chain),
}
every_encoder = pytest.mark.parametrize("name", ENCODERS)
no_chain = pytest.mark.parametrize("name", sorted(set(ENCODERS) - {"hamiltonian"}))


def make_encoder(name, n_inputs=N_FEATURES):
    return ENCODERS[name](network(n_inputs)).double()


def make_model(name="normal", likelihood="normal", n_condition=0):
    density = LIKELIHOODS[likelihood](N_FEATURES).double()
    encoder = make_encoder(name, N_FEATURES + n_condition)
    decoder = network(N_LATENT + n_condition, seed=7)(density.n_outputs)
    return Autoencoder(encoder, decoder, density, StandardNormal(N_LATENT))


class TestEncoders:
    @no_chain
    def test_log_density_is_that_of_the_draws(self, name):
        """By the Jacobian of the way from noise to place, which autograd gives."""
        encoder, x, noise = make_encoder(name), randn(N_ROWS, N_FEATURES, seed=1), randn(2, N_ROWS, N_LATENT, seed=2)
        draws = encoder(x, noise)
        jacobian = torch.autograd.functional.jacobian(lambda noise: encoder(x, noise).z, noise)
        for s in range(2):
            for n in range(N_ROWS):
                log_det = torch.linalg.slogdet(jacobian[s, n, :, s, n]).logabsdet
                expected = StandardNormal(N_LATENT).log_prob(noise[s, n][None])[0] - log_det
                torch.testing.assert_close(draws.log_q[s, n], expected)

    @every_encoder
    def test_noise_of_all_rows_is_that_of_each(self, name):
        model, x = make_model(name), randn(N_ROWS, N_FEATURES, seed=1)
        common = randn(2, 1, model.encoder.n_noise, seed=2)
        one, other = model.draw(x, common), model.draw(x, common.expand(-1, N_ROWS, -1))
        torch.testing.assert_close(one.z, other.z)
        torch.testing.assert_close(one.log_q, other.log_q)

    @every_encoder
    def test_gradient_reaches_every_parameter(self, name):
        model, x = make_model(name), randn(N_ROWS, N_FEATURES, seed=1)
        terms = model.terms(x, randn(1, N_ROWS, model.encoder.n_noise))
        terms.log_weights().sum().backward()
        dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert dead == []

    def test_divergence_of_a_diagonal_normal_is_the_closed_form(self):
        encoder, x = make_encoder("normal"), randn(N_ROWS, N_FEATURES, seed=1)
        mean, log_scale = encoder.network(x).chunk(2, 1)
        scale = (7 * torch.tanh(log_scale / 7)).exp()
        expected = kl_divergence(Normal(mean, scale), Normal(torch.zeros(()), torch.ones(())))
        torch.testing.assert_close(encoder(x, randn(1, N_ROWS, N_LATENT)).divergence, expected)

    def test_full_covariance_is_that_of_torch_by_brute_force(self):
        encoder, x = make_encoder("full"), randn(1, N_FEATURES, seed=1)
        noise = randn(1, 1, N_LATENT)
        draws = encoder(x, noise)
        factor = torch.autograd.functional.jacobian(lambda noise: encoder(x, noise).z, noise)[0, 0, :, 0, 0]
        assert torch.equal(factor, factor.tril())
        q = MultivariateNormal(encoder.mean(x)[0], scale_tril=factor)
        prior = MultivariateNormal(torch.zeros(3, dtype=torch.float64), torch.eye(3, dtype=torch.float64))
        torch.testing.assert_close(draws.log_q[0, 0], q.log_prob(draws.z[0, 0]))
        torch.testing.assert_close(draws.divergence.sum(), kl_divergence(q, prior))
        assert (draws.divergence >= 0).all()

    @every_encoder
    def test_weights_have_the_mean_that_quadrature_gives(self, name):
        """E_q [p(x, z) / q(z)] is p(x) whatever q is, for whole chains as well."""
        encoder = ENCODERS[name](network(N_FEATURES)).double()
        encoder.network.layers[-1].bias.data[0, N_LATENT : 2 * N_LATENT] = 0.4  # wider than p(z | x), or weights vary
        decoder = nn.Linear(N_LATENT, N_FEATURES).double()
        decoder.weight.data, decoder.bias.data = 0.4 * randn(N_FEATURES, N_LATENT, seed=3), randn(N_FEATURES, seed=4)
        density = NormalLikelihood(N_FEATURES).double()
        model, x = Autoencoder(encoder, decoder, density, StandardNormal(N_LATENT)), randn(2, N_FEATURES, seed=1)
        noise = randn(60_000, 1, encoder.n_noise)
        with torch.no_grad():
            log_weight = model.terms(x, noise).log_weights()
            estimate = log_weight.logsumexp(0) - math.log(len(noise))
            error = (log_weight - estimate).exp().std(0) / math.sqrt(len(noise))
            weight = decoder.weight
            scale = density.scales(torch.zeros(N_FEATURES, dtype=torch.float64))[1]
            marginal = MultivariateNormal(decoder.bias, weight @ weight.T + torch.diag(scale.square()))
            assert (error < 0.1).all()
            assert ((estimate - marginal.log_prob(x)).abs() < 4 * error).all()

    def test_leapfrog_steps_keep_volumes_and_lead_back(self):
        encoder = make_encoder("hamiltonian")
        transition = encoder.chain.transitions[0]
        x, velocity = randn(1, N_LATENT, seed=3), randn(1, N_LATENT, seed=4)

        def slope(u):
            return -u + torch.sin(2 * u)

        steps = transition.log_step[0].exp().detach()

        def go(both):
            return torch.cat(leapfrog(both[:, :N_LATENT], both[:, N_LATENT:], slope, steps), 1)

        both = torch.cat([x, velocity], 1)
        jacobian = torch.autograd.functional.jacobian(go, both)[0, :, 0]
        assert torch.linalg.slogdet(jacobian).logabsdet == pytest.approx(0, abs=1e-12)
        end, last = go(both).split(N_LATENT, 1)
        back, turned = leapfrog(end, -last, slope, steps.flip(0))
        torch.testing.assert_close(torch.cat([back, -turned], 1), both)


class TestLikelihoods:
    def test_bernoulli_is_torchs(self):
        raw, x = randn(2, N_ROWS, N_FEATURES), (randn(N_ROWS, N_FEATURES, seed=1) > 0).double()
        expected = Independent(TorchBernoulli(logits=raw), 1).log_prob(x)
        torch.testing.assert_close(Bernoulli(N_FEATURES).log_prob(x, raw), expected)

    def test_bernoulli_of_values_between_is_the_mean_over_draws(self):
        raw, x = randn(1, 1), torch.tensor([[0.3]], dtype=torch.float64)
        ends = Bernoulli(1).log_prob(torch.tensor([[1.0], [0.0]], dtype=torch.float64), raw.expand(2, 1))
        torch.testing.assert_close(Bernoulli(1).log_prob(x, raw)[0], 0.3 * ends[0] + 0.7 * ends[1])

    @pytest.mark.parametrize("heteroscedastic", [False, True])
    def test_normal_is_torchs(self, heteroscedastic):
        density = NormalLikelihood(N_FEATURES, heteroscedastic=heteroscedastic).double()
        raw, x = randn(2, N_ROWS, density.n_outputs), randn(N_ROWS, N_FEATURES, seed=1)
        mean, scale = density.scales(raw)
        torch.testing.assert_close(density.log_prob(x, raw), Independent(Normal(mean, scale), 1).log_prob(x))
        assert mean.shape == density.mean(raw).shape == (2, N_ROWS, N_FEATURES)

    @pytest.mark.parametrize("heteroscedastic", [False, True])
    def test_logistic_probabilities_of_all_values_sum_to_one(self, heteroscedastic):
        density = DiscretizedLogistic(1, heteroscedastic=heteroscedastic).double()
        values = torch.arange(-1, 2.001, 0.25, dtype=torch.float64)[:, None]
        density.set_grid(torch.tensor([0.25]), values[0], values[-1])
        raw = randn(1, density.n_outputs).expand(len(values), -1)
        torch.testing.assert_close(
            density.log_prob(values, raw).exp().sum().detach(), torch.ones((), dtype=torch.float64)
        )

    def test_logistic_of_one_value_is_certain(self):
        density = DiscretizedLogistic(2).double()
        density.set_grid(torch.ones(2), torch.tensor([0.0, -1.0]), torch.tensor([0.0, 1.0]))
        raw = randn(3, 2).requires_grad_()
        log_prob = density.log_prob(torch.tensor([[0.0, -1.0], [0.0, 0.0], [0.0, 1.0]], dtype=torch.float64), raw)
        log_prob.sum().backward()
        assert torch.equal(raw.grad[:, 0], torch.zeros(3, dtype=torch.float64))
        assert raw.grad.isfinite().all()

    @pytest.mark.parametrize("name", LIKELIHOODS)
    def test_draws_have_the_mean(self, name):
        density = LIKELIHOODS[name](1).double()
        if name == "logistic":
            density.set_grid(*torch.tensor([[0.1], [-30.0], [30.0]]))
        raw = torch.full((40_000, 1), 0.7, dtype=torch.float64)
        with torch.no_grad():
            mean = float(density.sample(raw, generator=seeded()).mean())
        assert mean == pytest.approx(float(density.mean(raw)[0]), abs=0.03)

    def test_draws_of_the_logistic_are_on_its_grid(self):
        density = DiscretizedLogistic(1).double()
        density.set_grid(*torch.tensor([[0.5], [-1.0], [2.0]]))
        draws = density.sample(torch.zeros(500, 1, dtype=torch.float64), generator=seeded())
        assert set(draws.unique().tolist()) <= {-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0}


class TestBounds:
    def test_several_draws_tighten_the_bound(self):
        model, x = make_model("normal"), randn(N_ROWS, N_FEATURES, seed=1)
        noise = randn(4096, N_ROWS, N_LATENT)
        one = model.terms(x, noise).mean_bound()
        eight = torch.stack([model.terms(x, some).bound() for some in noise.split(8)]).mean(0)
        everything = model.terms(x, noise).bound()
        assert (one < eight).all()
        assert (eight < everything + 0.05).all()

    def test_closed_form_and_draws_agree(self):
        model, x = make_model("normal"), randn(N_ROWS, N_FEATURES, seed=1)
        terms = model.terms(x, randn(20_000, N_ROWS, N_LATENT))
        torch.testing.assert_close(-terms.log_ratio.mean(0), terms.divergence.sum(1), atol=0.05, rtol=0)

    def test_warmth_multiplies_the_divergence(self):
        model, x = make_model("iaf"), randn(N_ROWS, N_FEATURES, seed=1)
        terms = model.terms(x, randn(1, N_ROWS, N_LATENT))
        torch.testing.assert_close(terms.bound(0.25), (terms.log_likelihood + 0.25 * terms.log_ratio)[0])

    def test_free_bits_fill_up_each_feature(self):
        divergence = torch.tensor([[0.1, 2.0], [0.3, 0.4]])
        terms = Terms(torch.zeros(1, 2), torch.zeros(1, 2), divergence)
        assert terms.missing_bits(0.5, 2) == pytest.approx(0.3)
        together = Terms(torch.zeros(1, 2), torch.tensor([[-0.5, -0.9]]), None)
        assert together.missing_bits(0.5, 2) == pytest.approx(1 - 0.7)
        assert together.missing_bits(0.1, 2) == 0

    def test_condition_reaches_encoder_and_decoder(self):
        model, x = make_model(n_condition=2), randn(N_ROWS, N_FEATURES, seed=1)
        condition, noise = torch.eye(2, dtype=torch.float64)[[0, 1, 0, 1, 0]], randn(3, N_ROWS, N_LATENT)
        terms = model.terms(x, noise, condition)
        by_hand = model.encoder(torch.cat([x, condition], 1), noise)
        rows = torch.cat([by_hand.z, condition.expand(3, -1, -1)], 2)
        torch.testing.assert_close(terms.log_likelihood, model.likelihood.log_prob(x, model.decoder(rows)))
        torch.testing.assert_close(terms.divergence, by_hand.divergence)
        assert model.sample(N_ROWS, condition, generator=seeded())[0].shape == x.shape


def test_an_inverse_autoregressive_posterior_is_an_autoregressive_prior():
    """Kingma (2017), 5.C: with z = f(u) a posterior by f has the bound of a posterior of u and a prior by f."""
    chain, u = (
        iaf_chain(1, N_LATENT, 2, 0, hidden_layer_sizes=(8,), generator=seeded()).double(),
        randn(1, 200, N_LATENT),
    )
    with torch.no_grad():
        for seed, parameter in enumerate(chain.parameters()):
            parameter += 0.5 * randn(*parameter.shape, seed=seed)
        prior, mean, scale = StandardNormal(N_LATENT), randn(N_LATENT, seed=8), 0.6
        q = Independent(Normal(mean, torch.full_like(mean, scale)), 1)
        z, ladj = chain(u)
        by_posterior = prior.log_prob(z[0]) - (q.log_prob(u[0]) - ladj[0])
        back, ladj_back = chain.inverse(z)
        log_prior_of_u = prior.log_prob(chain(back)[0][0]) - ladj_back[0]
    torch.testing.assert_close(back, u)
    torch.testing.assert_close(by_posterior, log_prior_of_u - q.log_prob(back[0]))


def test_a_linear_autoencoder_is_probabilistic_pca():
    """Tipping and Bishop (1999): with their maximum likelihood in it, and the exact posterior, every weight is p(x)."""
    X = (randn(300, 2) @ randn(2, N_FEATURES, seed=1) + 0.5 * randn(300, N_FEATURES, seed=2) + 1).numpy()
    pca = PCA(2).fit(X)
    scale = pca.noise_variance_**0.5
    loadings = torch.from_numpy(pca.components_.T * np.sqrt(pca.explained_variance_ - pca.noise_variance_))
    mean, eye = torch.from_numpy(pca.mean_), torch.eye(2, dtype=torch.float64)
    covariance = torch.linalg.inv(loadings.T @ loadings / scale**2 + eye)
    factor = torch.linalg.cholesky(covariance)
    log_diagonal = 7 * torch.atanh(factor.diagonal().log() / 7)

    def encode(n_outputs):
        network = nn.Linear(N_FEATURES, n_outputs).double()
        network.weight.data.zero_()
        network.weight.data[:2] = covariance @ loadings.T / scale**2
        network.bias.data = torch.cat([-network.weight.data[:2] @ mean, log_diagonal, factor[1:, 0]])
        return network

    decoder, density = nn.Linear(2, N_FEATURES).double(), NormalLikelihood(N_FEATURES, least_scale=0.0).double()
    decoder.weight.data, decoder.bias.data = loadings, mean
    density.scales.log_scale.data = 7 * torch.atanh(torch.full((1, N_FEATURES), scale, dtype=torch.float64).log() / 7)
    model = Autoencoder(FullEncoder(encode, 2), decoder, density, StandardNormal(2))
    with torch.no_grad():
        log_weights = model.terms(torch.from_numpy(X), randn(3, 300, 2, seed=5)).log_weights()
    expected = torch.from_numpy(pca.score_samples(X)).expand(3, -1)
    torch.testing.assert_close(log_weights, expected, rtol=1e-10, atol=1e-10)


def test_dense_layers_take_any_shape_and_start_with_their_gain():
    layer, x = Dense(50, 3000, gain=2.0, generator=seeded()), torch.ones(2, 1, 50)
    assert layer(x).shape == (2, 1, 3000)
    assert float(layer(x).detach().std()) == pytest.approx(2, rel=0.1)
