"""Other packages' fits to log-densities, for inference.py: each a function that returns its draws' log p and log q.

Parameters are ``fit(torch_density, jax_density, n_features, n_steps, n_draws, seed)``; a package that is not installed
raises an ImportError. Seconds of numpyro contain what jax takes to compile.
"""

import numpy as np
import torch
from log_densities import LOG_2_PI

N_JUDGE = 10_000


def normflows(torch_density, jax_density, n_features, n_steps, n_draws, seed, n_layers=8, hidden=32):
    """RealNVP by the reverse divergence, from a standard normal base whose location and scale are learned."""
    import normflows as nf

    class Target:
        def log_prob(self, theta):
            return torch_density(theta)

    torch.manual_seed(seed)
    kept = (n_features + 1) // 2
    flows = []
    for _ in range(n_layers):
        net = nf.nets.MLP([kept, hidden, hidden, 2 * (n_features - kept)], init_zeros=True)
        flows += [nf.flows.AffineCouplingBlock(net), nf.flows.Permute(n_features, mode="swap")]
    model = nf.NormalizingFlow(nf.distributions.DiagGaussian(n_features), flows, Target())
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(n_steps):
        loss = model.reverse_kld(n_draws)
        optimizer.zero_grad()
        if loss.isfinite():
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        theta, log_q = model.sample(N_JUDGE)
        return torch_density(theta).numpy(), log_q.numpy()


def numpyro_guide(name):
    """Stochastic variational inference with one of numpyro's automatic guides."""

    def fit(torch_density, jax_density, n_features, n_steps, n_draws, seed):
        import jax
        import numpyro
        from numpyro.infer import SVI, Trace_ELBO, autoguide, init_to_value

        def model():
            support = numpyro.distributions.constraints.real_vector
            theta = numpyro.sample("theta", numpyro.distributions.ImproperUniform(support, (), (n_features,)))
            numpyro.factor("target", jax_density(theta))

        start = np.random.default_rng(seed).normal(size=n_features)
        guide = getattr(autoguide, name)(model, init_loc_fn=init_to_value(values={"theta": start}))
        svi = SVI(model, guide, numpyro.optim.Adam(1e-2), Trace_ELBO(num_particles=n_draws))
        result = svi.run(jax.random.PRNGKey(seed), n_steps, progress_bar=False)
        if name == "AutoNormal":
            params = result.params
            location, scale = np.asarray(params["theta_auto_loc"]), np.asarray(params["theta_auto_scale"])
            z = np.random.default_rng(seed).normal(size=(N_JUDGE, n_features))
            theta, log_q = location + scale * z, -0.5 * (z**2 + LOG_2_PI).sum(1) - np.log(scale).sum()
        else:
            posterior = guide.get_posterior(result.params)
            theta, steps = posterior.sample_with_intermediates(jax.random.PRNGKey(seed + 1), (N_JUDGE,))
            log_q = posterior.log_prob(theta, steps) if steps else posterior.log_prob(theta)
        return np.asarray(jax.vmap(jax_density)(theta)), np.asarray(log_q)

    return fit


PEERS = {
    "normflows RealNVP": normflows,
    **{f"numpyro {name}": numpyro_guide(name) for name in ("AutoNormal", "AutoMultivariateNormal", "AutoIAFNormal")},
}
