"""The loss against what it is defined to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from skflowmix.modules.flows import PRESETS
from skflowmix.modules.transforms import BatchNorm, Compose
from skflowmix.training import AssignedObjective, LikelihoodObjective, Rows, assigned_loss, mixture_loss
from skflowmix.training.compilation import compiled

shapes = {"n_rows": st.integers(1, 8), "n_components": st.integers(2, 5), "seed": st.integers(0, 1000)}


def loss_of_rows(log_joint, weight, allowed=None, **options):
    return mixture_loss(log_joint, Rows(log_joint[0], weight, allowed), **options)


def random_log_joint(n_rows, n_components, seed, n_restarts=2, scale=5.0):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn((n_restarts, n_rows, n_components), generator=generator, dtype=torch.float64)
    return scale * draw, generator


def flow_gradients(mixture, loss):
    return torch.autograd.grad(loss, list(mixture.parameters()))


def test_surrogate_of_em_has_the_likelihoods_gradient(make_mixture):
    mixture = make_mixture("nsf", n_restarts=2)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((30, 2), generator=generator, dtype=torch.float64)
    weight = torch.rand(30, generator=generator, dtype=torch.float64)
    log_joint = mixture.restart_log_joint(x)
    resp = log_joint.detach().softmax(-1)
    surrogate = -(weight * (resp * log_joint).sum(-1)).sum()
    expected = flow_gradients(mixture, surrogate)
    gradients = flow_gradients(mixture, loss_of_rows(mixture.restart_log_joint(x), weight).sum())
    torch.testing.assert_close(gradients, expected, rtol=1e-10, atol=1e-10)


@given(**shapes, scale=st.floats(0.1, 1e3))
@settings(deadline=None, max_examples=20)
def test_loss_without_labels_is_the_weighted_log_likelihood(n_rows, n_components, seed, scale):
    log_joint, generator = random_log_joint(n_rows, n_components, seed, scale=scale)
    weight = torch.rand(n_rows, generator=generator, dtype=torch.float64)
    expected = -weight.numpy() * logsumexp(log_joint.numpy(), -1)
    np.testing.assert_allclose(loss_of_rows(log_joint, weight), expected, rtol=1e-12, atol=1e-12)


@given(**shapes, supervised_weight=st.floats(0, 10), unlabelled_weight=st.floats(0, 10))
@settings(deadline=None, max_examples=20)
def test_labelled_rows_give_class_likelihood_and_discriminative_term(
    n_rows, n_components, seed, supervised_weight, unlabelled_weight
):
    log_joint, generator = random_log_joint(n_rows, n_components, seed)
    weight = torch.rand(n_rows, generator=generator, dtype=torch.float64)
    component_class = torch.arange(n_components) // 2 if n_components > 2 else torch.arange(2)
    label = component_class[torch.randint(n_components, (n_rows,), generator=generator)]
    loss = loss_of_rows(
        log_joint,
        weight,
        label[:, None] == component_class,
        supervised_weight=supervised_weight,
        unlabelled_weight=unlabelled_weight,
    )
    joint = log_joint.numpy()
    for row in range(n_rows):
        log_class = logsumexp(joint[:, row][:, (component_class == label[row]).numpy()], 1)
        log_posterior = log_class - logsumexp(joint[:, row], 1)
        expected = -weight[row].item() * (log_class + supervised_weight * log_posterior)
        np.testing.assert_allclose(loss[:, row], expected, rtol=1e-10, atol=1e-10)


def test_each_class_learns_as_if_alone_without_the_discriminative_term(make_mixture):
    mixture = make_mixture("realnvp", 3)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((30, 2), generator=generator, dtype=torch.float64)
    label = torch.arange(30) % 3
    allowed = torch.nn.functional.one_hot(label).bool()
    weight = torch.ones(30, dtype=torch.float64)
    loss = loss_of_rows(mixture.restart_log_joint(x), weight, allowed, supervised_weight=0.0)
    per_class = mixture.log_joint(x)[range(30), label]
    torch.testing.assert_close(loss[0], -per_class, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(
        flow_gradients(mixture, loss.sum()), flow_gradients(mixture, -per_class.sum()), rtol=1e-11, atol=1e-11
    )


@given(**shapes, labels=st.booleans())
@settings(deadline=None, max_examples=20)
def test_integer_weight_is_repetition(n_rows, n_components, seed, labels):
    log_joint, generator = random_log_joint(n_rows, n_components, seed)
    log_joint.requires_grad_()
    times = torch.randint(1, 4, (n_rows,), generator=generator)
    allowed = None
    if labels:
        allowed = torch.rand((n_rows, n_components), generator=generator) < 0.6
        allowed[range(n_rows), torch.randint(n_components, (n_rows,), generator=generator)] = True
    weighted = loss_of_rows(log_joint, times.double(), allowed, supervised_weight=0.7, unlabelled_weight=0.3).sum()
    repeated = loss_of_rows(
        log_joint.repeat_interleave(times, 1),
        torch.ones(int(times.sum()), dtype=torch.float64),
        None if allowed is None else allowed.repeat_interleave(times, 0),
        supervised_weight=0.7,
        unlabelled_weight=0.3,
    ).sum()
    torch.testing.assert_close(weighted, repeated, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad(total, log_joint) for total in (weighted, repeated)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)


@given(**shapes, supervised_weight=st.floats(0, 10), unlabelled_weight=st.floats(0, 10))
@settings(deadline=None, max_examples=20)
def test_unlabelled_rows_among_labelled_ones_give_the_plain_term(
    n_rows, n_components, seed, supervised_weight, unlabelled_weight
):
    log_joint, generator = random_log_joint(n_rows + 1, n_components, seed)
    weight = torch.rand(n_rows + 1, generator=generator, dtype=torch.float64)
    allowed = torch.ones((n_rows + 1, n_components), dtype=torch.bool)
    allowed[0, 1:] = False
    options = {"supervised_weight": supervised_weight, "unlabelled_weight": unlabelled_weight}
    loss = loss_of_rows(log_joint, weight, allowed, **options)
    plain = loss_of_rows(log_joint[:, 1:], weight[1:], **options)
    torch.testing.assert_close(loss[:, 1:], plain, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        plain, unlabelled_weight * loss_of_rows(log_joint[:, 1:], weight[1:]), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_gradients_stay_finite_where_a_labels_components_are_hopeless(dtype, scale):
    log_joint = scale * torch.tensor([[[-10.0, 0.0, 1.0], [-1e3, 0.0, 0.0]]], dtype=dtype)
    log_joint.requires_grad_()
    allowed = torch.tensor([[True, False, False]]).expand(2, 3)
    loss = loss_of_rows(log_joint, torch.ones(2, dtype=dtype), allowed)
    (gradient,) = torch.autograd.grad(loss.sum(), log_joint)
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
    assert (gradient[..., 0] < 0).all()


@given(n_rows=st.integers(1, 8), n_components=st.integers(1, 5), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_elbo_is_a_bound_that_the_exact_posterior_attains(make_mixture, n_rows, n_components, seed):
    mixture = make_mixture("affine", n_components, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((n_rows, 2), generator=generator, dtype=torch.float64)
    log_joint, log_prob = mixture.log_joint(x), mixture.log_prob(x)

    def elbo(log_q):
        return (log_q.exp() * (log_joint - log_q)).sum(1)

    any_q = torch.randn((n_rows, n_components), generator=generator, dtype=torch.float64).log_softmax(1)
    assert (elbo(any_q) <= log_prob + 1e-12).all()
    torch.testing.assert_close(elbo(mixture.log_resp(x)), log_prob, rtol=1e-12, atol=1e-12)
    weight = torch.ones(n_rows, dtype=torch.float64)
    torch.testing.assert_close(-loss_of_rows(log_joint[None], weight)[0], log_prob, rtol=1e-13, atol=1e-13)


def test_assigned_loss_is_the_expected_log_joint():
    log_joint, generator = random_log_joint(6, 3, seed=0)
    weight = torch.rand(6, generator=generator, dtype=torch.float64)
    resp = torch.rand((6, 2, 3), generator=generator, dtype=torch.float64).softmax(-1)
    loss = assigned_loss(log_joint, Rows(log_joint[0], weight, resp=resp))
    expected = [[-weight[n] * (resp[n, r] * log_joint[r, n]).sum() for n in range(6)] for r in range(2)]
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_assigned_loss_at_the_posterior_has_the_likelihoods_gradient(make_mixture):
    mixture = make_mixture("nsf")
    x = torch.randn((30, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = Rows(x, torch.ones(30, dtype=torch.float64), resp=mixture.log_resp(x).exp().detach()[:, None])
    surrogate = flow_gradients(mixture, assigned_loss(mixture.restart_log_joint(x), rows).sum())
    likelihood = flow_gradients(mixture, mixture_loss(mixture.restart_log_joint(x), rows).sum())
    for one, other in zip(surrogate, likelihood, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def rows_of_clusters(n_restarts, n_components=3):
    """Rows of which each restart's last component has none, and the others have different numbers."""
    generator = torch.Generator().manual_seed(0)
    cluster = torch.randint(n_components - 1, (30, n_restarts), generator=generator).square()
    resp = torch.nn.functional.one_hot(cluster, n_components).double()
    resp[:5] = 1 / n_components
    weight = torch.rand(30, generator=generator, dtype=torch.float64)
    return Rows(torch.randn((30, 2), generator=generator, dtype=torch.float64), weight, resp=resp)


@pytest.mark.parametrize("preset", ["affine", "nsf", "maf"])
@pytest.mark.parametrize("n_restarts", [1, 2])
def test_flows_of_own_rows_have_the_gradient_of_all_rows(make_mixture, n_restarts, preset):
    mixture, rows = make_mixture(preset, n_restarts=n_restarts), rows_of_clusters(n_restarts)
    loss = AssignedObjective()(mixture, rows)
    expected = assigned_loss(mixture.restart_log_joint(rows.x), rows)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(flow_gradients(mixture, loss.sum()), flow_gradients(mixture, expected.sum()), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_flows_see_as_many_rows_as_the_largest_cluster_unless_shapes_have_to_stay(make_mixture, monkeypatch):
    mixture, rows = make_mixture("nsf"), rows_of_clusters(1)
    seen, forward = [], type(mixture.flow).forward
    monkeypatch.setattr(type(mixture.flow), "forward", lambda flow, x, *_: seen.append(x.shape[1]) or forward(flow, x))
    AssignedObjective()(mixture, rows)
    with compiled(mixture.flow), torch.no_grad():
        AssignedObjective()(mixture, rows)
    assert seen == [int((rows.resp > 0).sum(0).max()), 30]
    assert seen[0] < 25


def test_batch_statistics_are_of_all_rows(make_mixture):
    mixture, rows = make_mixture("affine"), rows_of_clusters(1)
    mixture.flow = Compose([*mixture.flow.transforms, BatchNorm(3, 2).double()])
    mixture.train()
    expected = assigned_loss(mixture.restart_log_joint(rows.x), rows)
    torch.testing.assert_close(AssignedObjective()(mixture, rows), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("preset", PRESETS)
def test_rows_that_no_flow_has_a_share_in_cost_nothing(make_mixture, preset):
    mixture, rows = make_mixture(preset), rows_of_clusters(1)
    loss = AssignedObjective()(mixture, replace(rows, resp=torch.zeros_like(rows.resp)))
    torch.testing.assert_close(loss, torch.zeros_like(loss), rtol=0, atol=0)
    assert not any(gradient.any() for gradient in flow_gradients(mixture, loss.sum()))


@pytest.mark.parametrize("discriminative_weight", [0.0, 0.5, 4.0])
def test_clusters_that_are_given_count_as_labels(make_mixture, discriminative_weight):
    mixture, rows = make_mixture("nsf"), rows_of_clusters(1)
    rows = rows[5:]
    labelled = Rows(rows.x, rows.weight, allowed=rows.resp[:, 0].bool())
    loss = AssignedObjective(discriminative_weight)(mixture, rows)
    expected = LikelihoodObjective(supervised_weight=discriminative_weight)(mixture, labelled)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)


def test_discriminative_term_of_shares_is_their_cross_entropy(make_mixture):
    mixture, rows = make_mixture("nsf", n_restarts=2), rows_of_clusters(2)
    rows = replace(rows, resp=rows.resp * 0.7)
    term = AssignedObjective(1.0)(mixture, rows) - AssignedObjective()(mixture, rows)
    log_resp = mixture.restart_log_resp(rows.x)
    expected = -rows.weight * (rows.resp.transpose(0, 1) * log_resp).sum(-1)
    torch.testing.assert_close(term, expected, rtol=1e-10, atol=1e-10)
