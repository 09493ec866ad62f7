"""Transforms that a context steers: a case in `CONDITIONAL` gets every check."""

import copy

import pytest
import torch
from torch import nn

from skflowmix.modules.chains import iaf_chain, planar_chain
from skflowmix.modules.nets import ACTIVATIONS, MLP, autoregressive_masks
from skflowmix.modules.transforms import (
    AffineMap,
    Autoregressive,
    Compose,
    Coupling,
    Grouped,
    Inverse,
    LULinear,
    Planar,
    SplineMap,
)

N_COMPONENTS, N_FEATURES, N_CONTEXT, N_ROWS = 3, 4, 2, 5
KEEP_HALF, KEEP_NOTHING = [True, True, False, False], [False] * 4


def coupling(mask, scalar_map):
    return lambda c, generator: Coupling(c, mask, scalar_map, (24,), n_context=N_CONTEXT, generator=generator)


def autoregressive(scalar_map):
    def make(c, generator):
        return Autoregressive(c, [2, 0, 3, 1], scalar_map, (24, 24), n_context=N_CONTEXT, generator=generator)

    return make


CONDITIONAL = {
    "affine coupling": coupling(KEEP_HALF, AffineMap()),
    "spline coupling": coupling([True, False, True, False], SplineMap()),
    "coupling that keeps nothing": coupling(KEEP_NOTHING, AffineMap()),
    "affine autoregression": autoregressive(AffineMap()),
    "spline autoregression": autoregressive(SplineMap()),
    "planar map by a network": lambda c, generator: Planar(c, N_FEATURES, n_context=N_CONTEXT, generator=generator),
    "inverse": lambda c, generator: Inverse(autoregressive(AffineMap())(c, generator)),
    "iaf": lambda c, generator: iaf_chain(c, N_FEATURES, 3, N_CONTEXT, hidden_layer_sizes=(24,), generator=generator),
    "planar chain": lambda c, generator: planar_chain(c, N_FEATURES, 3, N_CONTEXT, generator=generator),
    "chain with layers that look at none": lambda c, generator: Compose(
        [LULinear(c, N_FEATURES), coupling(KEEP_HALF, AffineMap())(c, generator), LULinear(c, N_FEATURES)]
    ),
}
every_transform = pytest.mark.parametrize("name", CONDITIONAL)
both_ways = pytest.mark.parametrize("direction", ["forward", "inverse"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def make(name, n_components=N_COMPONENTS):
    """A transform, float64, whose parameters are all random."""
    transform = CONDITIONAL[name](n_components, seeded()).double()
    for seed, parameter in enumerate(transform.parameters()):
        parameter.data += 0.15 * draw(*parameter.shape, seed=seed)
    return transform


def component(transform, index):
    alone = copy.deepcopy(transform)
    for module in alone.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(parameter.detach()[index : index + 1]))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, buffer[index : index + 1])
    return alone


def test_a_transform_with_a_context_in_ten_lines():
    """A normal density whose mean is a network's of what is known of each row."""
    flow = Coupling(1, [False], AffineMap(), (32,), n_context=1, generator=seeded())
    context = torch.linspace(-1, 1, 200)[:, None]
    x = (context.square() + 0.1 * torch.randn((200, 1), generator=seeded()))[None]
    optimizer = torch.optim.Adam(flow.parameters(), 0.02)
    for _ in range(150):
        z, ladj = flow(x, context)
        loss = (0.5 * z.square().sum(-1) - ladj).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mean, _ = flow.inverse(torch.zeros_like(x), context)
    assert (mean[0] - context.square()).abs().mean() < 0.06


@every_transform
def test_inverse_undoes_forward(name):
    transform, x, context = make(name), draw(N_COMPONENTS, N_ROWS, N_FEATURES), draw(N_ROWS, N_CONTEXT, seed=1)
    for there, back in [(transform.forward, transform.inverse), (transform.inverse, transform.forward)]:
        z, ladj = there(x, context)
        again, ladj_back = back(z, context)
        torch.testing.assert_close(again, x, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(ladj_back, -ladj, rtol=1e-8, atol=1e-8)


@every_transform
@both_ways
def test_ladj_is_the_jacobian_of_each_row_at_its_context(name, direction):
    transform, x, context = make(name, 1), draw(1, N_ROWS, N_FEATURES), draw(N_ROWS, N_CONTEXT, seed=1)
    function = getattr(transform, direction)
    jacobian = torch.autograd.functional.jacobian(lambda x: function(x, context)[0], x)
    blocks = jacobian[0, :, :, 0].transpose(1, 2)
    own = blocks[range(N_ROWS), range(N_ROWS)]
    torch.testing.assert_close(torch.linalg.slogdet(own).logabsdet, function(x, context)[1][0], rtol=1e-9, atol=1e-9)
    assert not blocks[~torch.eye(N_ROWS, dtype=torch.bool)].any()


@every_transform
@both_ways
@pytest.mark.parametrize("own_contexts", [False, True])
def test_batch_of_components_equals_a_loop(name, direction, own_contexts):
    transform, x = make(name), draw(N_COMPONENTS, N_ROWS, N_FEATURES)
    contexts = draw(N_COMPONENTS, N_ROWS, N_CONTEXT, seed=1)
    if not own_contexts:
        contexts = contexts[:1].expand(N_COMPONENTS, -1, -1)
    z, ladj = getattr(transform, direction)(x, contexts if own_contexts else contexts[0])
    for i in range(N_COMPONENTS):
        z_alone, ladj_alone = getattr(component(transform, i), direction)(x[i : i + 1], contexts[i])
        torch.testing.assert_close(z_alone[0], z[i], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(ladj_alone[0], ladj[i], rtol=1e-10, atol=1e-10)


@every_transform
@both_ways
def test_gradients_reach_the_context_of_each_row_and_every_parameter(name, direction):
    transform, x = make(name), draw(N_COMPONENTS, 20, N_FEATURES)
    context = draw(N_COMPONENTS, 20, N_CONTEXT, seed=1).requires_grad_()
    z, ladj = getattr(transform, direction)(x, context)
    ((z - 1).square().sum() + ladj.sum()).backward()
    assert context.grad.any(2).all()
    for parameter_name, parameter in transform.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@every_transform
def test_other_contexts_give_other_maps(name):
    transform, x = make(name), draw(N_COMPONENTS, N_ROWS, N_FEATURES)
    one, other = (transform(x, draw(N_ROWS, N_CONTEXT, seed=seed))[0] for seed in (1, 2))
    assert not torch.isclose(one, other).all(2).any()


@every_transform
@pytest.mark.parametrize("context", [None, torch.zeros(N_ROWS, N_CONTEXT + 1, dtype=torch.float64)])
def test_a_context_that_is_missing_or_too_wide_is_an_error(name, context):
    with pytest.raises(ValueError, match="a context of 2 features"):
        make(name)(draw(N_COMPONENTS, N_ROWS, N_FEATURES), context)


def test_every_feature_of_an_autoregression_depends_on_the_context_and_on_those_before():
    masks = autoregressive_masks([1, 0, 2], (7, 7), 1, n_context=2)
    reads = masks[2] @ masks[1] @ masks[0] > 0
    expected = torch.tensor([[False, True, False], [False, False, False], [True, True, False]])
    assert torch.equal(reads[:, :3], expected)
    assert reads[:, 3:].all()


def test_groups_share_a_context_or_take_their_own():
    groups = [make("affine coupling", 2), make("affine autoregression", 1)]
    transform, x = Grouped(groups, [[0, 2], [1]]), draw(3, N_ROWS, N_FEATURES)
    contexts = draw(3, N_ROWS, N_CONTEXT, seed=1)
    z, _ = transform(x, contexts)
    torch.testing.assert_close(z[[0, 2]], groups[0](x[[0, 2]], contexts[[0, 2]])[0])
    torch.testing.assert_close(z[[1]], groups[1](x[[1]], contexts[1])[0])
    shared, _ = transform(x, contexts[0])
    torch.testing.assert_close(shared[[1]], groups[1](x[[1]], contexts[0])[0])
    torch.testing.assert_close(transform.inverse(shared, contexts[0])[0], x, rtol=1e-8, atol=1e-8)


def test_gates_of_an_iaf_start_nearly_open_and_its_order_is_reversed_from_step_to_step():
    chain = iaf_chain(1, N_FEATURES, 3, N_CONTEXT, generator=seeded()).double()
    x, context = draw(1, N_ROWS, N_FEATURES), draw(N_ROWS, N_CONTEXT, seed=1)
    z, ladj = chain(x, context)
    gate = torch.sigmoid(torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(z, gate**3 * x, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ladj, torch.full_like(ladj, 3 * N_FEATURES * gate.log().item()), rtol=1e-12, atol=1e-12)
    assert [step.order for step in chain.transforms] == [[0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2, 3]]


class TestActivations:
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_units_apply_it(self, activation):
        mlp = MLP(2, (3, 8, 4), activation=activation, generator=seeded()).double()
        for seed, parameter in enumerate(mlp.parameters()):
            parameter.data += draw(*parameter.shape, seed=seed)
        x = draw(2, 3, 7)
        hidden = ACTIVATIONS[activation](mlp.weights[0] @ x + mlp.biases[0])
        torch.testing.assert_close(mlp(x), mlp.weights[1] @ hidden + mlp.biases[1], rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"relu"}))
    def test_smooth_ones_can_be_differentiated_twice(self, activation):
        mlp = MLP(1, (2, 8, 1), activation=activation, generator=seeded()).double()
        for seed, parameter in enumerate(mlp.parameters()):
            parameter.data += draw(*parameter.shape, seed=seed)
        assert torch.autograd.gradgradcheck(mlp, draw(1, 2, 3).requires_grad_())

    def test_unknown_one_is_an_error(self):
        with pytest.raises(ValueError, match="activation must be one of"):
            MLP(1, (2, 8, 1), activation="sine")
