"""Base densities against scipy's."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from skflowmix.modules import bases
from skflowmix.modules.bases import BASES, Base, Logistic, Normal, StudentT, Uniform

DEGREES_OF_FREEDOM = np.array([[1.5, 2.0, 4.0], [10.0, 30.0, 1000.0]])


def student_t():
    base = StudentT(2, 3).double()
    base.log_excess_df.data.copy_(torch.as_tensor(np.log(DEGREES_OF_FREEDOM - 1))[:, None])
    return base


class SoftUniform(stats.rv_continuous):
    """A uniform number between -bound and bound plus a logistic one."""

    def _logpdf(self, x, bound, softness):
        near, far = (
            special.log_expit((bound - np.abs(x)) / softness),
            special.log_expit(-(bound + np.abs(x)) / softness),
        )
        return near + np.log1p(-np.exp(far - near)) - np.log(2 * bound)

    def _cdf(self, x, bound, softness):
        rise = np.logaddexp(0, (x + bound) / softness) - np.logaddexp(0, (x - bound) / softness)
        return softness * rise / (2 * bound)


SOFTNESS = 0.1
SOFT_UNIFORM = SoftUniform(name="soft_uniform")(bound=np.sqrt(3 - (np.pi * SOFTNESS) ** 2), softness=SOFTNESS)
LOGISTIC = stats.logistic(scale=np.sqrt(3) / np.pi)


REFERENCES = {
    "logistic": (lambda: Logistic(2, 3).double(), LOGISTIC),
    "normal": (lambda: Normal(2, 3).double(), stats.norm(loc=np.zeros((2, 1, 3)))),
    "student_t": (student_t, stats.t(df=DEGREES_OF_FREEDOM[:, None])),
    "uniform": (lambda: Uniform(2, 3, softness=SOFTNESS).double(), SOFT_UNIFORM),
}


def one_feature(reference, component, feature):
    if reference.dist.name == "t":
        return stats.t(df=DEGREES_OF_FREEDOM[component, feature])
    return stats.norm() if reference.dist.name == "norm" else reference


every_base = pytest.mark.parametrize("name", REFERENCES)


def test_registry_and_references_hold_every_base():
    defined = {
        cls
        for cls in vars(bases).values()
        if inspect.isclass(cls) and issubclass(cls, Base) and not inspect.isabstract(cls)
    }
    assert set(BASES.values()) == defined
    assert set(REFERENCES) == set(BASES)
    assert {type(REFERENCES[name][0]()) for name in BASES} == defined


@every_base
@given(scale=st.floats(1e-3, 1e3), n_rows=st.integers(1, 20), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_log_prob_is_scipys(name, scale, n_rows, seed):
    make, reference = REFERENCES[name]
    z = scale * np.random.RandomState(seed).standard_normal((2, n_rows, 3))
    log_prob = make().log_prob(torch.as_tensor(z)).detach().numpy()
    np.testing.assert_allclose(log_prob, reference.logpdf(z).sum(-1), rtol=1e-10, atol=1e-10)


@every_base
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_samples_follow_the_density(name, dtype, device):
    make, reference = REFERENCES[name]
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        base = make().to(device, dtype)
        z = base.sample((2, 100_000, 3), generator=generator, dtype=dtype, device=device).cpu()
    assert z.dtype == dtype
    assert z.isfinite().all()
    for i in range(2):
        for j in range(3):
            result = stats.kstest(z[i, :, j].double().numpy(), one_feature(reference, i, j).cdf)
            assert result.pvalue > 1e-3, (i, j)
        correlation = stats.spearmanr(z[i].numpy()).statistic
        assert np.abs(correlation - np.eye(3)).max() < 4 / np.sqrt(100_000)


@every_base
def test_samples_repeat_under_a_seed_and_leave_the_global_generator_alone(name):
    base = REFERENCES[name][0]()
    before = torch.get_rng_state()
    draws = [
        base.sample((2, 5, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.float64, device="cpu")
        for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["logistic", "normal", "uniform"])
def test_variance_is_one_as_the_first_layer_aims_at(name):
    axis = torch.linspace(-60, 60, 400_001, dtype=torch.float64)
    density = BASES[name](1, 1).log_prob(axis[None, :, None])[0].exp()
    assert torch.trapezoid(density, axis).item() == pytest.approx(1, abs=1e-9)
    assert torch.trapezoid(density * axis.square(), axis).item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", BASES)
def test_density_and_its_gradient_are_finite_however_far_the_row(name, dtype):
    z = torch.tensor([-1e15, -30.0, 0.0, 2.0, 1e15], dtype=dtype)[None, :, None].requires_grad_()
    log_prob = BASES[name](1, 1).to(dtype).log_prob(z)
    (gradient,) = torch.autograd.grad(log_prob.sum(), z)
    assert log_prob.isfinite().all()
    assert gradient.isfinite().all()
    assert (gradient[0, [0, 1], 0] > 0).all()
    assert (gradient[0, [3, 4], 0] < 0).all()


@pytest.mark.parametrize("initial_df", [2.0, 10.0])
def test_student_t_starts_at_its_initial_degrees_of_freedom(initial_df):
    df = StudentT(2, 3, initial_df=initial_df).degrees_of_freedom()
    torch.testing.assert_close(df, torch.full((2, 1, 3), initial_df))


@pytest.mark.parametrize("raw", [-1e6, -20.0, 20.0, 1e6])
def test_student_t_is_finite_however_far_its_parameter_goes(raw):
    base = StudentT(1, 1)
    base.log_excess_df.data.fill_(raw)
    z = torch.tensor([-1e15, -1.0, 0.0, 1e15])[None, :, None]
    assert base.log_prob(z).isfinite().all()
    assert base.sample((1, 1000, 1), generator=torch.Generator().manual_seed(0)).isfinite().all()
    assert base.degrees_of_freedom() >= 1
