"""The contract of transforms: a new one adds an entry to `TRANSFORMS` and gets every check."""

import copy
import importlib
import inspect
import pkgutil
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from skflowmix.modules import transforms
from skflowmix.modules.flows import make_flow
from skflowmix.modules.nets import MLP
from skflowmix.modules.transforms import (
    ActNorm,
    AffineMap,
    Autoregressive,
    BatchNorm,
    Compose,
    Coupling,
    Elementwise,
    FullMatrix,
    GateMap,
    Inverse,
    LULinear,
    Orthogonal,
    Permutation,
    Planar,
    PLULinear,
    PReLUMap,
    QRLinear,
    Radial,
    ScalarMap,
    ShiftMap,
    SinhArcsinhMap,
    SplineMap,
    Transform,
    TriangularMatrix,
    WhitenedAffine,
)


def halves(n_features):
    return [n_features > 1 and i < (n_features + 1) // 2 for i in range(n_features)]


def alternating(n_features):
    return [n_features > 1 and i % 2 == 0 for i in range(n_features)]


def rolled(n_features):
    return [(i + 1) % n_features for i in range(n_features)]


def all_moved(n_features):
    return [False] * n_features


def elementwise(scalar_map):
    return lambda c, d, generator: Elementwise(c, d, scalar_map())


def coupling(mask, scalar_map):
    def make(n_components, n_features, generator):
        return Coupling(n_components, mask(n_features), scalar_map(), (8,), generator=generator)

    return make


def autoregressive(scalar_map, backwards=False):
    def make(n_components, n_features, generator):
        order = list(range(n_features))[:: -1 if backwards else 1]
        return Autoregressive(n_components, order, scalar_map(), (8, 9), generator=generator)

    return make


TRANSFORMS = {
    "ActNorm": lambda c, d, generator: ActNorm(c, d),
    "Autoregressive affine map": autoregressive(AffineMap),
    "Autoregressive shift": autoregressive(ShiftMap),
    "Autoregressive gates": autoregressive(GateMap),
    "Autoregressive spline": autoregressive(SplineMap, backwards=True),
    "BatchNorm": lambda c, d, generator: BatchNorm(c, d).eval(),
    "Compose": lambda c, d, generator: Compose(
        [
            WhitenedAffine(c, d),
            Coupling(c, halves(d), AffineMap(), (8,), generator=generator),
            Inverse(LULinear(c, d)),
            Coupling(c, alternating(d), SplineMap(), (8,), generator=generator),
        ]
    ),
    "Coupling of affine maps": coupling(halves, AffineMap),
    "Coupling of shifts": coupling(alternating, ShiftMap),
    "Coupling of splines": coupling(alternating, SplineMap),
    "Coupling of few bins": coupling(alternating, lambda: SplineMap(n_bins=3, bound=2.0)),
    "Coupling without condition": coupling(all_moved, SplineMap),
    "Elementwise affine map": elementwise(AffineMap),
    "Elementwise spline": elementwise(SplineMap),
    "Elementwise PReLU": elementwise(PReLUMap),
    "Elementwise sinh-arcsinh": elementwise(SinhArcsinhMap),
    "Inverse": lambda c, d, generator: Inverse(coupling(halves, SplineMap)(c, d, generator)),
    "Inverse autoregressive": lambda c, d, generator: Inverse(autoregressive(AffineMap)(c, d, generator)),
    "LULinear": lambda c, d, generator: LULinear(c, d),
    "Orthogonal": lambda c, d, generator: Orthogonal(c, d, generator=generator),
    "Permutation": lambda c, d, generator: Compose([Permutation(rolled(d)), LULinear(c, d)]),
    "PLULinear": lambda c, d, generator: PLULinear(c, rolled(d)),
    "Planar": lambda c, d, generator: Planar(c, d, generator=generator),
    "QRLinear": lambda c, d, generator: QRLinear(c, d, generator=generator),
    "Radial": lambda c, d, generator: Radial(c, d, generator=generator),
    "WhitenedAffine": lambda c, d, generator: WhitenedAffine(c, d),
    "WhitenedAffine of full matrices": lambda c, d, generator: WhitenedAffine(c, d, matrix=FullMatrix),
}
START_ELSEWHERE = {"Autoregressive gates", "Orthogonal", "PLULinear", "Permutation"}

every_transform = pytest.mark.parametrize("name", TRANSFORMS)
every_width = pytest.mark.parametrize("n_features", [1, 2, 5])
both_ways = pytest.mark.parametrize("direction", ["forward", "inverse"])


@pytest.fixture(scope="module")
def make(randomise):
    """A random instance of a transform, float64, and rows for it."""

    def make(name, n_components=2, n_features=3, n_rows=4, seed=0):
        generator = torch.Generator().manual_seed(seed)
        transform = TRANSFORMS[name](n_components, n_features, generator).double()
        randomise(transform, n_features, generator)
        rows = torch.randn((n_components, n_rows, n_features), generator=generator, dtype=torch.float64)
        return transform, rows

    return make


def concrete_classes(base):
    """Public concrete subclasses that the package defines, exported or not."""
    for module in pkgutil.iter_modules(transforms.__path__, transforms.__name__ + "."):
        importlib.import_module(module.name)
    pending, found = [base], set()
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if cls.__module__.startswith("skflowmix.") and not inspect.isabstract(cls):
            found.add(cls)
    return found


def component(transform, index):
    """The transform of one component."""
    alone = copy.deepcopy(transform)
    for module in alone.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(parameter.detach()[index : index + 1]))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer[index : index + 1])
    return alone


def covariance(z, weight):
    """Weighted means and covariances, an independent numpy version of `weighted_moments`."""
    pairs = [(rows.numpy(), w.numpy()) for rows, w in zip(z, weight, strict=True)]
    mean = np.stack([np.average(rows, axis=0, weights=w) for rows, w in pairs])
    return mean, np.stack([np.atleast_2d(np.cov(rows.T, aweights=w, ddof=0)) for rows, w in pairs])


def test_moments_do_not_depend_on_their_chunks(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    weight = torch.rand(2, 50, generator=generator, dtype=torch.float64)
    whole = transforms.linear.weighted_moments(x, weight)
    monkeypatch.setattr(transforms.linear, "_ROWS_AT_ONCE", 7)
    for chunked, expected in zip(transforms.linear.weighted_moments(x, weight), whole, strict=True):
        torch.testing.assert_close(chunked, expected, rtol=1e-12, atol=1e-12)


def test_rows_pass_no_further_than_the_last_layer_that_starts_from_them():
    flow = make_flow("nsf", 2, 3)
    passed = []
    for i, layer in enumerate(flow.transforms):
        layer.register_forward_hook(lambda *_, i=i: passed.append(i))
    flow.initialize(torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)), torch.ones(2, 9))
    assert passed == []
    normalised = transforms.Compose([*flow.transforms, transforms.ActNorm(2, 3), flow.transforms[1]])
    normalised.initialize(torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0)), torch.ones(2, 9))
    assert passed == list(range(len(flow.transforms)))


def test_every_public_transform_and_scalar_map_has_an_entry():
    modules = [m for make in TRANSFORMS.values() for m in make(1, 2, None).modules()]
    tested_with_mixtures = {transforms.Grouped}  # its components cannot be cut out of it; tests/test_structure.py
    assert concrete_classes(Transform) - {type(m) for m in modules} == tested_with_mixtures
    assert concrete_classes(ScalarMap) - {type(m.scalar_map) for m in modules if hasattr(m, "scalar_map")} == set()


@pytest.mark.parametrize("base", [Transform, ScalarMap])
def test_every_transform_is_exported(base):
    assert {cls.__name__ for cls in concrete_classes(base)} | {base.__name__} <= set(transforms.__all__)


@every_transform
@given(
    n_components=st.integers(1, 3),
    n_features=st.integers(1, 6),
    n_rows=st.integers(1, 5),
    scale=st.floats(1e-3, 2),
    seed=st.integers(0, 1000),
)
@settings(deadline=None, max_examples=15)
def test_inverse_undoes_forward(make, name, n_components, n_features, n_rows, scale, seed):
    transform, x = make(name, n_components, n_features, n_rows, seed)
    x = x * scale
    for there, back in [(transform.forward, transform.inverse), (transform.inverse, transform.forward)]:
        z, ladj = there(x)
        again, ladj_back = back(z)
        assert z.shape == x.shape
        assert ladj.shape == ladj_back.shape == x.shape[:-1]
        # A spline may shrink 1e5 times, and rounding z then moves x as many times.
        rounding = 1e-14 * ladj.abs().max().exp().item()
        torch.testing.assert_close(again, x, rtol=1e-11, atol=1e-11 + rounding)
        torch.testing.assert_close(ladj_back, -ladj, rtol=1e-10, atol=1e-10 + rounding)


@every_transform
@every_width
@both_ways
def test_float32_agrees_with_float64(make, name, n_features, direction, device):
    transform, x = make(name, n_features=n_features, n_rows=50)
    z, ladj = getattr(transform, direction)(x)
    single = copy.deepcopy(transform).float().to(device)
    z_single, ladj_single = getattr(single, direction)(x.float().to(device))
    torch.testing.assert_close(z_single.double().cpu(), z, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ladj_single.double().cpu(), ladj, rtol=1e-4, atol=1e-4)


@every_transform
@every_width
def test_float32_inverse_undoes_forward(make, name, n_features, device):
    transform, x = make(name, n_features=n_features, n_rows=50)
    transform, x = transform.float().to(device), x.float().to(device)
    z, ladj = transform(x)
    again, ladj_back = transform.inverse(z)
    torch.testing.assert_close(again, x, rtol=5e-5, atol=5e-5)
    torch.testing.assert_close(ladj_back, -ladj, rtol=5e-5, atol=5e-5)


@every_transform
@every_width
@both_ways
def test_ladj_is_the_jacobian_of_each_row_alone(make, name, n_features, direction):
    transform, x = make(name, n_features=n_features)
    function = getattr(transform, direction)
    jacobian = torch.autograd.functional.jacobian(lambda x: function(x)[0], x)
    n = x.shape[0] * x.shape[1]
    blocks = jacobian.reshape(n, n_features, n, n_features).transpose(1, 2)
    own = blocks[range(n), range(n)]
    ladj = function(x)[1].flatten()
    torch.testing.assert_close(torch.linalg.slogdet(own).logabsdet, ladj, rtol=1e-10, atol=1e-10)
    assert not blocks[~torch.eye(n, dtype=torch.bool)].any()


@every_transform
@every_width
@both_ways
def test_batch_of_components_equals_a_loop(make, name, n_features, direction):
    transform, x = make(name, n_components=3, n_features=n_features)
    z, ladj = getattr(transform, direction)(x)
    for i in range(3):
        z_alone, ladj_alone = getattr(component(transform, i), direction)(x[i : i + 1])
        torch.testing.assert_close(z_alone[0], z[i], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(ladj_alone[0], ladj[i], rtol=1e-12, atol=1e-12)


@every_transform
@both_ways
def test_gradients_reach_every_parameter_of_every_component(make, name, direction):
    transform, x = make(name, n_rows=20)
    z, ladj = getattr(transform, direction)(x)
    ((z - 1).square().sum() + ladj.sum()).backward()
    for parameter_name, parameter in transform.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.numel() == 0 or parameter.grad.flatten(1).any(1).all(), parameter_name


@every_transform
@both_ways
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("default", [torch.float32, torch.float64])
def test_dtype_is_the_modules_whatever_the_default(make, name, direction, dtype, default):
    transform, x = make(name)
    transform, x = transform.to(dtype), x.to(dtype)
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        transform.initialize(x, torch.ones(x.shape[:2], dtype=dtype))
        z, ladj = getattr(transform, direction)(x)
    finally:
        torch.set_default_dtype(before)
    assert z.dtype == ladj.dtype == dtype
    assert {tensor.dtype for tensor in transform.state_dict().values()} == {dtype}


@every_transform
def test_parameters_and_buffers_lead_with_the_component_axis(make, name):
    transform, _ = make(name, n_components=3)
    assert {len(tensor) for tensor in transform.state_dict().values()} == {3}


@every_width
@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name not in START_ELSEWHERE])
def test_starts_at_the_identity(name, n_features):
    generator = torch.Generator().manual_seed(0)
    transform = TRANSFORMS[name](2, n_features, generator).double()
    x = 3 * torch.randn((2, 20, n_features), generator=generator, dtype=torch.float64)
    z, ladj = transform(x)
    torch.testing.assert_close(z, x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ladj, torch.zeros_like(ladj), rtol=0, atol=1e-12)


@pytest.mark.parametrize("matrix", [TriangularMatrix, FullMatrix])
@given(n_features=st.integers(1, 5), log_scale=st.integers(-4, 4), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_affine_initialize_whitens(matrix, n_features, log_scale, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((1, 60, n_features), generator=generator, dtype=torch.float64)
    mixing = torch.randn((n_features, n_features), generator=generator, dtype=torch.float64)
    assume(torch.linalg.cond(mixing) < 1000)
    x = 10.0**log_scale * (x @ mixing + 2)
    weight = torch.rand((1, 60), generator=generator, dtype=torch.float64)
    transform = WhitenedAffine(1, n_features, matrix=matrix, reg_covar=0.0).double()
    transform.initialize(x, weight)
    mean, cov = covariance(transform(x)[0].detach(), weight)
    np.testing.assert_allclose(mean, 0, atol=1e-9)
    np.testing.assert_allclose(cov[0], np.eye(n_features), atol=1e-7)


@pytest.mark.parametrize("matrix", [TriangularMatrix, FullMatrix])
def test_affine_initialize_adds_pooled_rows_and_the_floor_to_each_component(matrix):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((3, 30, 2), generator=generator, dtype=torch.float64) * torch.tensor([[[1.0]], [[5.0]], [[9.0]]])
    weight = torch.rand((3, 30), generator=generator, dtype=torch.float64)
    transform = WhitenedAffine(3, 2, matrix=matrix, reg_covar=0.1).double()
    transform.initialize(x, weight)
    mean, cov = covariance(x, weight)
    n_rows = weight.sum(1).numpy()[:, None, None]
    pooled = (n_rows * cov).sum(0) / n_rows.sum()
    expected = (n_rows * cov + 3 * pooled) / (n_rows + 3) + 0.1 * np.eye(2)
    whitening = transform.whitening.numpy()
    np.testing.assert_allclose(whitening @ expected @ whitening.swapaxes(1, 2), np.stack([np.eye(2)] * 3), atol=1e-12)
    np.testing.assert_allclose(transform.location[:, 0], mean, rtol=1e-12)


@pytest.mark.parametrize("matrix", [TriangularMatrix, FullMatrix])
def test_affine_initialize_gives_a_component_without_rows_the_pooled_scale(matrix):
    generator = torch.Generator().manual_seed(0)
    x = 7 * torch.randn((2, 50, 2), generator=generator, dtype=torch.float64)
    weight = torch.tensor([[1.0], [0.0]], dtype=torch.float64).expand(2, 50)
    transform = WhitenedAffine(2, 2, matrix=matrix, reg_covar=0.0).double()
    transform.initialize(x, weight)
    torch.testing.assert_close(transform.whitening[1], transform.whitening[0], rtol=1e-12, atol=1e-12)
    assert transform.location.isfinite().all()


@pytest.mark.parametrize("matrix", [TriangularMatrix, FullMatrix])
def test_initialize_forgets_what_was_learned(make, matrix):
    transform, x = make(
        {TriangularMatrix: "WhitenedAffine", FullMatrix: "WhitenedAffine of full matrices"}[matrix], n_rows=30
    )
    fresh = WhitenedAffine(2, 3, matrix=matrix).double()
    weight = torch.ones(x.shape[:2], dtype=x.dtype)
    for module in (transform, fresh):
        module.initialize(x, weight)
    torch.testing.assert_close(transform(x), fresh(x), rtol=0, atol=0)


@pytest.mark.parametrize("cls", [ActNorm, BatchNorm])
@given(n_features=st.integers(1, 5), log_scale=st.integers(-4, 4), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_normalization_initialize_standardises_each_feature(cls, n_features, log_scale, seed):
    generator = torch.Generator().manual_seed(seed)
    x = 10.0**log_scale * (torch.randn((2, 40, n_features), generator=generator, dtype=torch.float64) + 3)
    weight = torch.rand((2, 40), generator=generator, dtype=torch.float64) + 0.01
    transform = cls(2, n_features).double().eval()
    transform.initialize(x, weight)
    mean, cov = covariance(transform(x)[0].detach(), weight)
    np.testing.assert_allclose(mean, 0, atol=1e-10)
    np.testing.assert_allclose(np.diagonal(cov, axis1=1, axis2=2), 1, rtol=1e-10)


@pytest.mark.parametrize("cls", [ActNorm, BatchNorm])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 1 / 3, 1e6 / 3])
def test_normalization_initialize_only_centres_a_constant_feature(cls, dtype, value):
    x = torch.full((1, 70, 1), value, dtype=dtype)
    transform = cls(1, 1).to(dtype).eval()
    transform.initialize(x, torch.ones(1, 70, dtype=dtype))
    z, ladj = transform(x)
    assert not ladj.any()
    assert z.abs().max() <= 100 * torch.finfo(dtype).eps * max(value, 1)


def test_batchnorm_standardises_each_batch_in_training_mode(make):
    transform, x = make("BatchNorm", n_rows=30)
    x = 7 * x + 3
    fresh = BatchNorm(2, 3, eps=0.0).double()
    z, ladj = fresh(x)
    mean, cov = covariance(z.detach(), torch.ones(x.shape[:2]))
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    np.testing.assert_allclose(np.diagonal(cov, axis1=1, axis2=2), 1, rtol=1e-12)
    expected = -x.std(1, correction=0).log().sum(1, keepdim=True)
    torch.testing.assert_close(ladj, expected.expand(2, 30), rtol=1e-12, atol=1e-12)
    learned = transform.log_scale.exp() * z + transform.shift
    transform.eps = 0.0
    torch.testing.assert_close(transform.train()(x)[0], learned, rtol=1e-12, atol=1e-12)


def test_batchnorm_adds_eps_to_the_variance():
    x = torch.tensor([[[-1.0], [1.0]], [[5.0], [5.0]]])
    z, ladj = BatchNorm(2, 1, eps=0.25)(x)
    torch.testing.assert_close(z[:, 1, 0], torch.tensor([1 / 1.25**0.5, 0.0]))
    torch.testing.assert_close(ladj[:, 0], -0.5 * torch.tensor([1.25, 0.25]).log())


def test_batchnorm_differentiates_through_the_statistics_of_the_batch(make):
    transform, x = make("BatchNorm", n_rows=5)
    transform.train()
    assert torch.autograd.gradcheck(transform, x.clone().requires_grad_())
    total = torch.autograd.functional.jacobian(lambda x: transform(x)[0].sum(1), x)
    assert total.abs().max() < 1e-12, "a batch that is shifted as a whole has the same z"


def test_batchnorm_running_statistics_converge_to_those_of_the_batches():
    generator = torch.Generator().manual_seed(0)
    x = 4 * torch.randn((2, 50, 3), generator=generator, dtype=torch.float64) + 2
    transform = BatchNorm(2, 3).double()
    first = x.mean(1, keepdim=True)
    z, ladj = transform(x)
    torch.testing.assert_close(transform.running_mean, 0.1 * first, rtol=1e-12, atol=0)
    for _ in range(300):
        transform(x)
    transform.eval()
    torch.testing.assert_close(transform(x), (z, ladj), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(transform.inverse(z)[0], x, rtol=1e-10, atol=1e-10)


def test_batchnorm_learns_its_statistics_in_training_mode_alone(make):
    transform, x = make("BatchNorm")
    before = copy.deepcopy(dict(transform.named_buffers()))
    transform(x), transform.inverse(x), transform.train().inverse(x)
    assert all(torch.equal(buffer, before[name]) for name, buffer in transform.named_buffers())
    transform(x)
    assert all((buffer != before[name]).all() for name, buffer in transform.named_buffers())


@pytest.mark.parametrize("training", [True, False])
def test_compose_initializes_batchnorm_by_the_weights_and_keeps_its_mode(training):
    generator = torch.Generator().manual_seed(0)
    x = 5 * torch.randn((2, 50, 3), generator=generator, dtype=torch.float64) + 1
    weight = torch.rand((2, 50), generator=generator, dtype=torch.float64)
    transform = Compose([BatchNorm(2, 3), Compose([BatchNorm(2, 3)])]).double().train(training)
    transform.initialize(x, weight)
    assert {module.training for module in transform.modules()} == {training}
    mean, cov = covariance(transform.eval()(x)[0].detach(), weight)
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    np.testing.assert_allclose(np.diagonal(cov, axis1=1, axis2=2), 1, rtol=1e-12)


MASKS = {
    "first half": [True, True, False, False],
    "second half": [False, False, True, True],
    "alternating": [True, False, True, False, True],
    "ends kept": [True, False, False, True],
    "ends moved": [False, True, True, False],
    "uneven": [True, True, False, True, False],
    "one kept": [False, False, True],
    "all moved": [False, False, False],
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("scalar_map", [AffineMap, SplineMap])
@both_ways
def test_coupling_moves_features_outside_the_mask_by_those_inside(randomise, mask, scalar_map, direction):
    n_features, generator = len(mask), torch.Generator().manual_seed(0)
    transform = Coupling(2, mask, scalar_map(), (8,), generator=generator).double()
    function = getattr(randomise(transform, n_features, generator), direction)
    x = torch.randn((2, 1, n_features), generator=generator, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: function(x)[0].sum((0, 1)), x)[:, :, 0].transpose(0, 1)
    depends = (jacobian != 0).any(0)
    kept, eye = torch.tensor(mask), torch.eye(n_features, dtype=torch.bool)
    assert torch.equal(function(x)[0][..., kept], x[..., kept])
    assert (function(x)[0][..., ~kept] != x[..., ~kept]).all()
    assert torch.equal(depends, eye | (~kept[:, None] & kept))


@torch.no_grad()
def triangular(diagonal, entries):
    """Lower triangular matrices of a diagonal and of the entries below it, row by row."""
    matrix = torch.diag_embed(diagonal)
    rows, columns = torch.tril_indices(*matrix.shape[1:], -1)
    matrix[:, rows, columns] = entries
    return matrix


def reflections(vectors):
    """The product of reflections, one after the other."""
    product = eye = torch.eye(vectors.shape[1], dtype=vectors.dtype).expand(len(vectors), -1, -1)
    for v in vectors.unbind(2):
        product = product @ (eye - 2 * v[:, :, None] * v[:, None] / v.square().sum(1)[:, None, None])
    return product


@pytest.mark.parametrize("n_features", [1, 2, 5, 64])
def test_orthogonal_is_the_product_of_reflections(n_features):
    transform = Orthogonal(2, n_features, generator=torch.Generator().manual_seed(0)).double()
    product = reflections(transform.vectors.detach())
    eye = torch.eye(n_features, dtype=torch.float64).expand_as(product)
    torch.testing.assert_close(transform.matrix(), product, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(product @ product.mT, eye, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n_features", [1, 2, 5, 64])
def test_qr_linear_is_a_rotation_of_a_triangular_map(randomise, n_features):
    generator = torch.Generator().manual_seed(0)
    transform = randomise(QRLinear(2, n_features, generator=generator).double(), n_features, generator)
    x = torch.randn((2, 10, n_features), generator=generator, dtype=torch.float64)
    rotation = reflections(transform.vectors.detach())
    upper = triangular(transform.log_diagonal.exp(), transform.upper).mT
    torch.testing.assert_close(transform(x)[0], x @ (rotation @ upper).mT + transform.shift, rtol=1e-9, atol=1e-9)
    assert (torch.linalg.det(rotation) - 1).abs().max() < 1e-9
    assert n_features == 1 or not torch.allclose(rotation, torch.eye(n_features, dtype=torch.float64), atol=1e-3)


@pytest.mark.parametrize("n_features", [5, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_qr_linear_starts_at_the_identity_in_many_features(n_features, dtype):
    transform = QRLinear(3, n_features, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = torch.eye(n_features, dtype=dtype).repeat(3, 1, 1)
    torch.testing.assert_close(transform(x)[0], x, rtol=0, atol=100 * torch.finfo(dtype).eps)


def test_plu_linear_permutes_the_rows_of_l_times_u(make):
    transform, x = make("PLULinear", n_features=4)
    linear = transform.steps.transforms[0]
    lower = triangular(torch.ones_like(linear.log_diagonal), linear.lower)
    upper = triangular(linear.log_diagonal.exp(), linear.upper).mT
    permutation = torch.eye(4, dtype=torch.float64)[rolled(4)]
    expected = (x @ (lower @ upper).mT + linear.shift) @ permutation.T
    torch.testing.assert_close(transform(x)[0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cls", [Planar, Radial])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1.0, 10.0, 1e3])
@every_width
def test_bends_stay_invertible_however_far_their_parameters_go(cls, dtype, size, n_features):
    generator = torch.Generator().manual_seed(0)
    transform = cls(50, n_features, generator=generator).to(dtype)
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator, dtype=dtype)
    x = 3 * torch.randn((50, 100, n_features), generator=generator, dtype=dtype)
    z, ladj = transform(x)
    again, ladj_back = transform.inverse(z)
    assert ladj.isfinite().all()
    assert ladj_back.isfinite().all()
    accuracy = 1e4 * torch.finfo(dtype).eps * (1 + size) ** 2
    torch.testing.assert_close(again, x, rtol=0, atol=accuracy)
    (ladj.sum() + ladj_back.sum() + again.sum()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in transform.parameters())


def test_permutation_reads_features_in_its_order():
    x = torch.tensor([[[10.0, 11.0, 12.0]]])
    assert torch.equal(Permutation([2, 0, 1])(x)[0], torch.tensor([[[12.0, 10.0, 11.0]]]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scalar_map", [AffineMap, PReLUMap, ShiftMap, SinhArcsinhMap, SplineMap])
@pytest.mark.parametrize("raw", [-1e3, 0.0, 1e3])
@both_ways
def test_scalar_maps_are_finite_and_increasing_however_far(scalar_map, raw, direction, dtype):
    scalar_map = scalar_map()
    x = torch.tensor([-1e15, -1e4, -1.0, 0.0, 1.0, 1e4, 1e15], dtype=dtype)[None, None].requires_grad_()
    raw = torch.full((1, scalar_map.n_parameters, x.shape[2]), raw, dtype=dtype, requires_grad=True)
    z, log_slope = getattr(scalar_map, direction)(x, raw)
    assert z.isfinite().all()
    assert log_slope.isfinite().all()
    assert (z.diff() >= 0).all()
    for gradient in torch.autograd.grad(log_slope.sum() + z.clamp(-10, 10).sum(), (x, raw), allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


@pytest.mark.parametrize("order", [[0], [1, 0], [2, 0, 3, 1], [0, 1, 2, 3, 4]])
@pytest.mark.parametrize("hidden", [(), (2,), (32, 16), (12, 24)])
@both_ways
def test_autoregressive_feature_depends_on_those_before_it(randomise, order, hidden, direction):
    n_features, generator = len(order), torch.Generator().manual_seed(0)
    transform = Autoregressive(2, order, AffineMap(), hidden, generator=generator).double()
    function = getattr(randomise(transform, n_features, generator), direction)
    x = torch.randn((2, 20, n_features), generator=generator, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: function(x)[0].sum((0, 1)), x)
    depends = (jacobian != 0).any(2).all(1)
    place = torch.tensor(order).argsort()
    expected = place[:, None] >= place
    assert not depends[~expected].any()
    if min((n_features, *hidden)) >= n_features - 1:
        assert torch.equal(depends, expected)


@contextmanager
def counted_evaluations(conditioner):
    """A list that grows by one with each evaluation of a network."""
    evaluations = []
    handle = conditioner.register_forward_hook(lambda *_: evaluations.append(1))
    yield evaluations
    handle.remove()


@pytest.mark.parametrize("scalar_map", [AffineMap, SplineMap])
@every_width
def test_autoregression_takes_one_pass_forward_and_one_for_each_feature_back(scalar_map, n_features):
    transform = autoregressive(scalar_map)(2, n_features, torch.Generator().manual_seed(0))
    x = torch.zeros(2, 3, n_features)
    for direction, function in [("forward", transform), ("inverse", transform.inverse)]:
        with counted_evaluations(transform.conditioner) as evaluations:
            function(x)
        assert len(evaluations) == (1 if direction == "forward" else n_features)


def test_inverse_swaps_the_directions(make):
    transform, x = make("LULinear")
    torch.testing.assert_close(Inverse(transform)(x), transform.inverse(x), rtol=0, atol=0)
    torch.testing.assert_close(Inverse(transform).inverse(x), transform(x), rtol=0, atol=0)


def test_compose_applies_the_first_transform_first(make):
    first, x = make("WhitenedAffine", seed=1)
    second, _ = make("Coupling of splines", seed=2)
    middle, ladj_first = first(x)
    z, ladj_second = second(middle)
    torch.testing.assert_close(Compose([first, second])(x), (z, ladj_first + ladj_second), rtol=0, atol=0)


def test_compose_of_nothing_is_the_identity():
    x = torch.randn((2, 3, 4), generator=torch.Generator().manual_seed(0))
    for z, ladj in (Compose([])(x), Compose([]).inverse(x)):
        assert torch.equal(z, x)
        assert torch.equal(ladj, torch.zeros(2, 3))


def test_compose_initializes_each_transform_with_the_rows_that_reach_it():
    generator = torch.Generator().manual_seed(0)
    x = 5 * torch.randn((2, 50, 3), generator=generator, dtype=torch.float64) + 1
    weight = torch.rand((2, 50), generator=generator, dtype=torch.float64)
    first, second = WhitenedAffine(2, 3, reg_covar=3.0), ActNorm(2, 3)
    transform = Compose([first, second]).double()
    transform.initialize(x, weight)
    mean, cov = covariance(transform(x)[0].detach(), weight)
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    np.testing.assert_allclose(np.diagonal(cov, axis1=1, axis2=2), 1, rtol=1e-12)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 3)])
@pytest.mark.parametrize("n_inputs", [0, 2])
def test_gradients_of_networks_are_those_of_finite_differences(hidden, n_inputs):
    generator = torch.Generator().manual_seed(0)
    network = MLP(2, (n_inputs, *hidden, 3), generator=generator).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.rand(parameter.shape, generator=generator, dtype=parameter.dtype) - 0.5
    x = torch.randn((2, n_inputs, 5), generator=generator, dtype=torch.float64).requires_grad_()
    assert network(x).shape == (2, 3, 5)
    inputs = [tensor for tensor in (x, *network.parameters()) if tensor.numel()]
    assert torch.autograd.gradcheck(lambda *_: network(x), inputs)
