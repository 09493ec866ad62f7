"""Two Bayesian regressions, with posterior means and deviations beside those of long NUTS runs.

Logistic regression on scikit-learn's breast cancer (standardised; 30 weights and an intercept, each N(0, 1) before the
data), and the eight schools (Rubin, 1981; mu ~ N(0, 5), tau ~ half-Cauchy(5)), whose effects are either theta_j, or
non-centred, (theta_j - mu) / tau. `NUTS` holds what `--nuts` prints: numpyro's NUTS, see there.

    python examples/bayesian_regression.py [cancer centred non-centred] [--nuts]
"""

import argparse
import math
import time

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import softplus

from skflowmix import FlowMixturePosterior

X, y = load_breast_cancer(return_X_y=True)
X = np.column_stack([StandardScaler().fit_transform(X), np.ones(len(X))])
SIDES = torch.as_tensor(X * (2 * y - 1)[:, None])
EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def cancer(theta):
    return -softplus(-theta @ SIDES.to(theta).T).sum(1) - 0.5 * theta.square().sum(1)


def centred(theta):
    mu, tau, effects = theta[:, :1], theta[:, 1:2], theta[:, 2:]
    arm, miss = (effects - mu) / tau, (EFFECTS - effects) / ERRORS
    return before_the_data(mu, tau) - 8 * tau.log().squeeze(1) - 0.5 * (arm.square() + miss.square()).sum(1)


def non_centred(theta):
    mu, tau, arm = theta[:, :1], theta[:, 1:2], theta[:, 2:]
    miss = (EFFECTS - mu - tau * arm) / ERRORS
    return before_the_data(mu, tau) - 0.5 * (arm.square() + miss.square()).sum(1)


def before_the_data(mu, tau):
    return (-0.5 * (mu / 5).square() - torch.log1p((tau / 5).square())).squeeze(1)


POSITIVE_TAU = [None, (0, math.inf), *[None] * 8]
MODELS = {
    "cancer": (cancer, 31, None, "resample"),
    "centred": (centred, 10, POSITIVE_TAU, "mcmc"),
    "non-centred": (non_centred, 10, POSITIVE_TAU, "mcmc"),
}


def posterior_draws(name, n_draws=10_000, **parameters):
    """Draws (n_draws, D) of a model's posterior, and the posterior."""
    log_density, n_features, bounds, method = MODELS[name]
    posterior = FlowMixturePosterior(bounds=bounds, random_state=0, **parameters).fit(log_density, n_features)
    return posterior.sample(n_draws, method=method), posterior


def nuts_draws(name, n_warmup=2000, n_draws=25_000, n_chains=4):
    """Draws by NUTS, which takes numpyro; of the schools, non-centred, mu and tau alone."""
    import jax.numpy as jnp
    import numpyro
    from jax.random import PRNGKey
    from numpyro import distributions as d
    from numpyro import infer, sample

    def logistic():
        theta = sample("theta", d.Normal(0, 1).expand([31]).to_event(1))
        sample("y", d.Bernoulli(logits=jnp.asarray(X) @ theta), obs=jnp.asarray(y))

    def schools():
        mu, tau = sample("mu", d.Normal(0, 5)), sample("tau", d.HalfCauchy(5))
        arm = sample("arm", d.Normal(0, 1).expand([8]).to_event(1))
        sample("y", d.Normal(mu + tau * arm, jnp.asarray(ERRORS)), obs=jnp.asarray(EFFECTS))

    numpyro.enable_x64()
    model = logistic if name == "cancer" else schools
    kernel = infer.NUTS(model, target_accept_prob=0.95)
    chains = {"num_warmup": n_warmup, "num_samples": n_draws, "num_chains": n_chains}
    mcmc = infer.MCMC(kernel, **chains, chain_method="sequential", progress_bar=False)
    mcmc.run(PRNGKey(0))
    draws = mcmc.get_samples()
    return np.asarray(draws["theta"] if name == "cancer" else jnp.column_stack([draws["mu"], draws["tau"]]))


def numbers(text):
    return np.array(text.split(), dtype=float)


NUTS = {
    "cancer": (
        numbers("""
-0.472 -0.471 -0.461 -0.552 -0.238 0.586 -0.962 -1.071 0.107 0.446 -1.437 0.323 -0.782 -1.18 -0.435 0.729 0.315
-0.332 0.299 0.821 -1.129 -1.496 -0.906 -1.12 -0.722 -0.024 -0.986 -1.031 -1.052 -0.53 0.205
"""),
        numbers("""
0.893 0.554 0.903 0.914 0.618 0.796 0.823 0.831 0.51 0.68 0.785 0.502 0.79 0.923 0.462 0.667 0.622 0.67 0.529 0.699
0.919 0.645 0.923 0.938 0.615 0.78 0.76 0.786 0.552 0.709 0.408
"""),
    ),
    "schools": (numbers("4.406 3.586"), numbers("3.312 3.207")),
}
"""Means and deviations, of mu and tau of the schools: `bayesian_regression.py cancer non-centred --nuts`, numpyro 0.22,
jax 0.10.2, float64, four chains of 25,000 draws after a warm-up of 2,000, aimed acceptance .95."""


def compare(name, draws):
    """Greatest difference of means from NUTS's, as it is and in deviations, and the ratio furthest from one."""
    mean, deviation = NUTS["cancer" if name == "cancer" else "schools"]
    draws = draws[:, : len(mean)]
    difference, ratio = np.abs(draws.mean(0) - mean), draws.std(0) / deviation
    return difference.max(), (difference / deviation).max(), ratio[np.abs(np.log(ratio)).argmax()]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(MODELS), metavar="model")
    parser.add_argument("--nuts", action="store_true", help="print what NUTS finds instead")
    options = parser.parse_args(arguments)
    if options.nuts:
        for name in options.names:
            draws = nuts_draws(name)
            print(name, draws.mean(0).round(3).tolist(), draws.std(0).round(3).tolist(), sep="\n")
        return
    print(
        "| model | parameters | means, apart | means, in deviations | deviations, ratio | R-hat | Pareto k | seconds |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for name in options.names:
        start = time.perf_counter()
        draws, posterior = posterior_draws(name)
        seconds = time.perf_counter() - start
        apart, in_deviations, ratio = compare(name, draws)
        r_hat = f"{posterior.r_hat_.max():.3f}" if MODELS[name][-1] == "mcmc" else ""
        scores = (
            f"{apart:.3f} | {in_deviations:.3f} | {ratio:.3f} | {r_hat} | {posterior.pareto_k_:.2f} | {seconds:.0f}"
        )
        print(f"| {name} | {posterior.n_features_in_} | {scores} |", flush=True)


if __name__ == "__main__":
    main()
