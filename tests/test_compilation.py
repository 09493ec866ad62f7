"""`compile=True`: the same fit, by way of torch's compiler where there is one."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from skflowmix import FlowMixtureDensity
from skflowmix.training import compilation, compiled, objectives, plain_copy

X = make_blobs(60, centers=2, random_state=0)[0]
# What the compiler says of torch's own code, and of autograd functions, which it instantiates itself.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning:torch"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
]


def fit(device, **parameters):
    parameters = {"flow": "affine", "max_iter": 4} | parameters
    model = FlowMixtureDensity(2, random_state=0, device=device, **parameters)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The fit still improved")
        return model.fit(X)


@pytest.fixture
def whole_steps(monkeypatch):
    """Steps leave no row out, as those that might be compiled do not; what is left out changes rounding."""
    monkeypatch.setattr(objectives, "_may_leave_rows_out", lambda mixture: False)


@pytest.fixture
def no_compiler(monkeypatch):
    def compile_nothing(function, **options):
        def fail(x, context):
            raise RuntimeError("InvalidCxxCompiler: no C++ compiler\nand a long trace")

        return fail

    monkeypatch.setattr(torch, "compile", compile_nothing)


@pytest.fixture
def recording_backend(monkeypatch):
    """A compiler that runs what it is given as it is, and counts it."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(compilation, "_BACKEND", backend)
    return graphs


def test_compiled_fit_equals_the_plain_one(device, recording_backend):
    plain = fit(device)
    assert not recording_backend
    fast = fit(device, compile=True)
    assert recording_backend
    np.testing.assert_allclose(fast.score_samples(X), plain.score_samples(X), rtol=1e-5)


def test_without_a_compiler_says_so_and_fits_the_same(device, no_compiler, whole_steps):
    plain = fit(device)
    with pytest.warns(UserWarning, match=r"compile=True has no effect.*no C\+\+ compiler") as caught:
        fast = fit(device, compile=True)
    assert len(caught) == 1
    np.testing.assert_array_equal(fast.score_samples(X), plain.score_samples(X))


def test_a_failing_backend_is_such_a_case(device, monkeypatch, whole_steps):
    def backend(graph, inputs):
        raise ValueError("cannot compile this")

    monkeypatch.setattr(compilation, "_BACKEND", backend)
    with pytest.warns(UserWarning, match="cannot compile this"):
        fast = fit(device, compile=True)
    np.testing.assert_array_equal(fast.score_samples(X), fit(device).score_samples(X))


def run_and_fail(flow):
    flow(torch.zeros(3, 4, 2, dtype=torch.float64))
    raise RuntimeError


def test_flow_and_torch_are_left_as_found(make_mixture, recording_backend):
    flow = make_mixture("affine").flow
    threads, state, attributes = torch.get_num_threads(), torch.get_rng_state(), set(vars(flow))
    with pytest.raises(RuntimeError), compiled(flow):
        run_and_fail(flow)
    assert recording_backend
    assert set(vars(flow)) == attributes
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("preset", ["realnvp", "nsf"])
def test_couplings_are_one_graph(make_mixture, recording_backend, preset):
    flow = make_mixture(preset, 2).flow
    with compiled(flow):
        flow(torch.zeros(2, 4, 2, dtype=torch.float64))
    assert len(recording_backend) == 1


def test_a_copy_made_meanwhile_is_plain_and_its_own(make_mixture, recording_backend):
    mixture = make_mixture("affine", 2)
    x = torch.zeros((3, 2), dtype=torch.float64)
    before = mixture.log_prob(x).detach()
    with compiled(mixture.flow):
        other = plain_copy(mixture)
    for parameter in mixture.flow.parameters():
        parameter.data += 1
    torch.testing.assert_close(other.log_prob(x), before, rtol=0, atol=0)
    assert not recording_backend
