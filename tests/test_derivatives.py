"""Derivatives by hand against those that autograd finds for plain formulas."""

import math

import pytest
import torch
from learning import learn
from torch.nn.functional import softplus

from skflowmix.modules.bases import Normal
from skflowmix.modules.flows import make_flow
from skflowmix.modules.mixture import FlowMixture
from skflowmix.modules.nets import MLP
from skflowmix.modules.transforms import AffineMap, Compose, Coupling, SplineMap, compose, coupling_runs
from skflowmix.modules.transforms.coupling_runs import AffineCouplings
from skflowmix.training import Rows, mixture_loss, objectives

ROUNDING = {torch.float64: {"rtol": 1e-9, "atol": 1e-9}, torch.float32: {"rtol": 1e-4, "atol": 1e-4}}
each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def plain_perceptrons(self, x, context=None):
    """`MLP.forward`, one layer after the other."""
    weights = list(self.weights)
    if self.is_masked:
        weights = [weight * self.get_buffer(f"mask_{layer}") for layer, weight in enumerate(weights)]
    for weight, bias in zip(weights[:-1], self.biases[:-1], strict=True):
        x = torch.relu(weight @ x + bias)
    return weights[-1] @ x + self.biases[-1]


def plain_affine(self, x, raw):
    shift, log_scale = raw.chunk(2, 1)
    log_scale = self.max_log_scale * torch.tanh(log_scale / self.max_log_scale)
    return shift + x * log_scale.exp(), log_scale


def plain_spline(self, x, raw):
    """Durkan's formulas with all knots at hand."""
    raw = raw.unflatten(1, (self.n_parameters, x.shape[1]))
    sizes = raw[:, : 2 * self.n_bins].unflatten(1, (2, self.n_bins)).softmax(2)
    sizes = 2 * self.bound * (1e-3 + (1 - 1e-3 * self.n_bins) * sizes)
    starts = sizes.cumsum(2) - sizes - self.bound
    zero = torch.zeros_like(x[:, None])
    slopes = softplus(torch.cat([zero, raw[:, 2 * self.n_bins :], zero], 1) + math.log(math.expm1(1 - 1e-3))) + 1e-3
    clamped = x.clamp(-self.bound, self.bound)[:, None]
    index = (clamped >= starts[:, 0, 1:]).sum(1, keepdim=True)
    x0, z0 = (part.gather(1, index) for part in starts.unbind(1))
    width, height = (part.gather(1, index) for part in sizes.unbind(1))
    d0, d1 = slopes.gather(1, index), slopes.gather(1, index + 1)
    t, s = (clamped - x0) / width, height / width
    denominator = s + (d0 + d1 - 2 * s) * t * (1 - t)
    z = z0 + height * (s * t**2 + d0 * t * (1 - t)) / denominator
    slope = s**2 * (d1 * t**2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2) / denominator**2
    inside = x.abs() < self.bound
    return torch.where(inside, z.squeeze(1), x), torch.where(inside, slope.squeeze(1).log(), 0.0)


def plain_coupling(self, x, context=None):
    """`Coupling.forward` in the parts that other scalar maps take."""
    return self._couple(self.scalar_map.forward, x, context)


def draw(shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def outputs_and_gradients(function, inputs):
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    pulls = [draw(output.shape, output.dtype, seed).to(output.device) for seed, output in enumerate(outputs)]
    return [*outputs, *torch.autograd.grad(outputs, inputs, pulls)]


MAPS = {
    "affine": (AffineMap(max_log_scale=1.5), plain_affine),
    "spline": (SplineMap(), plain_spline),
    "spline of one bin": (SplineMap(n_bins=1, bound=1.0), plain_spline),
    "spline of two bins": (SplineMap(n_bins=2, bound=2.0), plain_spline),
}


@pytest.mark.parametrize("name", MAPS)
@each_dtype
def test_scalar_maps_equal_plain_formulas(name, dtype, device):
    scalar_map, plain = MAPS[name]
    x, raw = 3 * draw((3, 4, 50), dtype), draw((3, 4 * scalar_map.n_parameters, 50), dtype, seed=1)
    x, raw = x.to(device), raw.to(device)
    found = outputs_and_gradients(scalar_map.forward, (x, raw))
    expected = outputs_and_gradients(lambda x, raw: plain(scalar_map, x, raw), (x, raw))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **ROUNDING[dtype])


@pytest.mark.parametrize("name", MAPS)
def test_scalar_maps_pass_gradcheck(name):
    scalar_map, _ = MAPS[name]
    x = (2 * draw((1, 2, 5))).requires_grad_()
    raw = draw((1, 2 * scalar_map.n_parameters, 5), seed=1).requires_grad_()
    assert torch.autograd.gradcheck(scalar_map.forward, (x, raw))


@pytest.mark.parametrize("layer_sizes", [(0, 3), (1, 8, 8, 2), (20, 24, 17, 40), (3, 5)])
@each_dtype
def test_perceptrons_equal_plain_layers(layer_sizes, dtype, device):
    mlp = MLP(5, layer_sizes, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    parameters = list(mlp.parameters())
    for seed, parameter in enumerate(parameters):
        parameter.data += 0.3 * draw(parameter.shape, dtype, seed).to(device)
    x = draw((5, layer_sizes[0], 11), dtype).to(device)
    results = []
    for forward in (mlp.forward, lambda x: plain_perceptrons(mlp, x)):
        for needs_x in (True, False):
            x.requires_grad_(needs_x)
            output = forward(x)
            pull = draw(output.shape, dtype, seed=9).to(device)
            wanted = [*parameters, x] if needs_x else parameters
            results.append([output, *torch.autograd.grad(output, wanted, pull)])
    for found, expected in zip(results[:2], results[2:], strict=True):
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, **ROUNDING[dtype])


@pytest.mark.parametrize(
    "mask", [(True, True, False, False, False), (False, False, True), (False,), (True, False, True)]
)
@pytest.mark.parametrize("needs_x", [True, False])
@each_dtype
def test_affine_couplings_equal_plain_ones(mask, needs_x, dtype, device):
    coupling = Coupling(4, mask, AffineMap(max_log_scale=1.5), (8, 7), generator=torch.Generator().manual_seed(0))
    coupling = coupling.to(device, dtype)
    parameters = list(coupling.parameters())
    for seed, parameter in enumerate(parameters):
        parameter.data += 0.3 * draw(parameter.shape, dtype, seed).to(device)
    x = draw((4, 11, len(mask)), dtype).to(device).requires_grad_(needs_x)
    results = []
    for forward in (Compose([coupling]), lambda x: plain_coupling(coupling, x)):
        outputs = forward(x)
        pulls = [draw(output.shape, dtype, seed=9).to(device) for output in outputs]
        wanted = [*parameters, x] if needs_x else parameters
        results.append([*outputs, *torch.autograd.grad(outputs, wanted, pulls)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, **ROUNDING[dtype])


def test_affine_couplings_pass_gradcheck():
    coupling = Coupling(2, (True, False, False), AffineMap(), (4,), generator=torch.Generator().manual_seed(0)).double()
    coupling.conditioner.weights[-1].data += 0.3 * draw(coupling.conditioner.weights[-1].shape)
    assert torch.autograd.gradcheck(Compose([coupling]), draw((2, 5, 3)).requires_grad_())


FIRST, SECOND = (True, True, False, False, False), (False, False, True, True, True)
OTHER = (True, False, False, False, False)


def coupling(mask, n_components=5, scalar_map=None, hidden=(8, 7), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Coupling(n_components, mask, scalar_map or AffineMap(), hidden, generator=generator)


def runs(n_components=5):
    """Couplings of two parts by turns and not, of other conditioners and bounds, then of other parts and maps."""
    return Compose(
        [
            coupling(FIRST, n_components),
            coupling(SECOND, n_components, AffineMap(max_log_scale=0.5), (20,)),
            coupling(SECOND, n_components, seed=1),
            coupling(OTHER, n_components),
            coupling(FIRST, n_components, SplineMap()),
            coupling((False,) * 5, n_components),
            coupling((True, False, True, False, False), n_components),
        ]
    )


def test_couplings_of_the_same_parts_are_one_step(monkeypatch):
    lengths = []
    apply = AffineCouplings.apply
    monkeypatch.setattr(
        AffineCouplings,
        "apply",
        lambda x, sizes, layers, *rest: lengths.append(len(layers)) or apply(x, sizes, layers, *rest),
    )
    runs()(draw((5, 11, 5), torch.float32))
    runs().inverse(draw((5, 11, 5), torch.float32))
    assert lengths == [3, 1, 1, 1, 1, 3]


@pytest.mark.parametrize("tile", [1, 2, 5])
@pytest.mark.parametrize("needed", ["all", "parameters", "x"])
@pytest.mark.parametrize("direction", ["forward", "inverse"])
@each_dtype
def test_couplings_in_one_step_equal_plain_ones(monkeypatch, tile, needed, direction, dtype, device):
    monkeypatch.setattr(coupling_runs, "_CACHED_BYTES", tile * 20 * 11 * dtype.itemsize / torch.get_num_threads())
    flow = runs().to(device, dtype)
    parameters = list(flow.parameters())
    for seed, parameter in enumerate(parameters):
        parameter.data += 0.1 * draw(parameter.shape, dtype, seed).to(device)
        parameter.requires_grad_(needed != "x")
    x = draw((5, 11, 5), dtype).to(device).requires_grad_(needed != "parameters")
    asked = [tensor for tensor in [*parameters, x] if tensor.requires_grad]

    def outputs_and_gradients_of(flow):
        outputs = getattr(flow, direction)(x)
        pulls = [draw(output.shape, dtype, seed=9).to(device) for output in outputs]
        return [*outputs, *torch.autograd.grad(outputs, asked, pulls)]

    found = outputs_and_gradients_of(flow)
    with torch.no_grad():
        kept_nothing = getattr(flow, direction)(x)
    monkeypatch.setattr(compose, "fuse_runs", lambda transforms: transforms)
    monkeypatch.setattr(Coupling, "forward", plain_coupling)
    for one, other in zip(found, outputs_and_gradients_of(flow), strict=True):
        torch.testing.assert_close(one, other, **ROUNDING[dtype])
    for one, other in zip(kept_nothing, found, strict=False):
        assert torch.equal(one, other)


def test_couplings_in_one_step_pass_gradcheck(monkeypatch):
    monkeypatch.setattr(coupling_runs, "_CACHED_BYTES", 1)
    flow = Compose([coupling(mask, 2, hidden=(4,)) for mask in (FIRST, SECOND, FIRST)]).double()
    for seed, parameter in enumerate(flow.parameters()):
        parameter.data += 0.3 * draw(parameter.shape, seed=seed)
    for way in (flow, flow.inverse):
        assert torch.autograd.gradcheck(way, draw((2, 3, 5)).requires_grad_())


@pytest.mark.parametrize("preset", ["realnvp", "nsf", "maf", "nsf-ar"])
def test_step_equals_the_plain_one(monkeypatch, make_mixture, preset):
    mixture = make_mixture(preset, n_components=3, n_features=5)
    rows = Rows(2 * draw((60, 5)), torch.ones(60, dtype=torch.float64))

    def step():
        loss = mixture_loss(mixture.restart_log_joint(rows.x), rows).mean()
        return [loss, *torch.autograd.grad(loss, list(mixture.parameters()))]

    found = step()
    monkeypatch.setattr(compose, "fuse_runs", lambda transforms: transforms)
    monkeypatch.setattr(Coupling, "forward", plain_coupling)
    monkeypatch.setattr(MLP, "forward", plain_perceptrons)
    monkeypatch.setattr(AffineMap, "forward", plain_affine)
    monkeypatch.setattr(SplineMap, "forward", plain_spline)
    for one, other in zip(found, step(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@each_dtype
def test_only_negligible_gradients_are_dropped(dtype):
    tiny = torch.finfo(dtype).tiny
    gradient = torch.tensor(
        [0.5 * tiny, tiny, -(tiny**0.6), tiny**0.4, -(tiny**0.4), 1, torch.inf, -torch.inf], dtype=dtype
    )
    kept = objectives._drop_negligible(gradient)
    assert torch.equal(kept, torch.where(torch.arange(8) < 3, 0.0, gradient))
    assert objectives._drop_negligible(torch.tensor([torch.nan])).isnan()


class WatchedNormal(Normal):
    """A base that keeps the gradients with respect to its log-densities."""

    def log_prob(self, z):
        log_prob = super().log_prob(z)
        if log_prob.requires_grad:
            log_prob.register_hook(self.seen.append)
        return log_prob


def n_subnormal(values):
    return ((values != 0) & (values.abs() < torch.finfo(values.dtype).tiny)).sum().item()


class Everything(objectives.RowObjective):
    """The likelihood of all components, as where none may be left out of a step."""

    def __call__(self, model, rows, progress=1.0):
        return objectives.LikelihoodObjective()(model, rows, progress)


def test_steps_have_no_subnormal_gradients(monkeypatch):
    """Though rows are so far from a component that their probability under it is a subnormal number."""
    centers = torch.tensor([[-6.6], [6.6]])
    x = centers.repeat(100, 1) + draw((200, 1), torch.float32)
    resp = torch.eye(2).repeat(100, 1)
    found = []
    for drop in (objectives._drop_negligible, lambda gradient: gradient):
        monkeypatch.setattr(objectives, "_drop_negligible", drop)
        base = WatchedNormal(2, 1)
        base.seen = []
        mixture = FlowMixture(make_flow("affine", 2, 1), base, 2)
        mixture.initialize(x, resp)
        options = {"max_iter": 1, "batch_size": 200}
        learn(mixture, Rows(x, torch.ones(200)), options, objective=Everything())
        found.append(sum(map(n_subnormal, base.seen)))
    assert found[0] == 0
    assert found[1] > 0, "the rows should be so far that it matters"
