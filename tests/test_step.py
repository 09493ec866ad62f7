"""A training step asks a device for nothing, so that it can be captured, and captured it does the same.

On torch's meta device tensors have no numbers, so that whatever asks for one raises an exception, without any GPU.
"""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from learning import learn
from torch.optim import adam
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skflowmix.modules.bases import BASES, Normal
from skflowmix.modules.flows import PRESETS, make_flow, make_shared_layers
from skflowmix.modules.mixture import FlowMixture
from skflowmix.modules.posterior import PosteriorNetwork
from skflowmix.modules.transforms import BatchNorm, Compose
from skflowmix.training import (
    SOLVERS,
    AssignedObjective,
    AssignedPosterior,
    LikelihoodObjective,
    RowBatches,
    Rows,
    TrainingOptions,
    batches,
    loop,
    objectives,
    optimizers,
    train,
)
from skflowmix.training.cuda_graph import CapturedStep, CudaGraph

N_ROWS, BATCH, N_FEATURES, N_COMPONENTS, N_RESTARTS = 40, 20, 3, 3, 2
SMALL = {"n_layers": 3, "hidden_layer_sizes": (8,)}
PLAIN = TrainingOptions()


class Watch(TorchDispatchMode):
    """Lists tensors that operations read and that neither were read before nor came from an operation on the device."""

    def __init__(self):
        super().__init__()
        self.known, self.found = {}, []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        for tensor in _tensors((arguments, options)):
            if function is torch.ops.aten.lift_fresh.default or _storage(tensor) not in self.known:
                self.found.append((str(function), tuple(tensor.shape)))
                self._remember(tensor)
        for tensor in _tensors(result):
            self._remember(tensor)
        return result

    def _remember(self, tensor):
        self.known[_storage(tensor)] = tensor  # A storage that is kept gives its address to no other one.


def _tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _storage(tensor):
    return tensor.untyped_storage()._cdata


def sent_from_the_host(action):
    """What an action reads that was not there when it was done before."""
    action()
    with Watch() as watch:
        action()
        watch.found.clear()
        action()
    return watch.found


def make_mixture(flow="realnvp", *, base="normal", posterior=False, **changes):
    n_restarts = N_RESTARTS if isinstance(flow, str) else 1
    n_flows = n_restarts * N_COMPONENTS
    network = PosteriorNetwork(N_FEATURES, N_COMPONENTS, n_restarts=n_restarts) if posterior else None
    layers = make_flow(flow, n_flows, N_FEATURES, **SMALL | changes)
    return FlowMixture(layers, BASES[base](n_flows, N_FEATURES), N_COMPONENTS, n_restarts=n_restarts, posterior=network)


def with_shared_layers():
    mixture = make_mixture("glow", n_shared_layers=2)
    mixture.shared = make_shared_layers("glow", N_FEATURES, n_shared_layers=2, **SMALL)
    return FlowMixture.stack([mixture.restart(0)] * N_RESTARTS)


def batch_normalised():
    mixture = make_mixture("nsf")
    mixture.flow = Compose([BatchNorm(N_RESTARTS * N_COMPONENTS, N_FEATURES), mixture.flow])
    return mixture


MIXTURES = {
    **{name: lambda name=name: make_mixture(name) for name in PRESETS},
    **{f"{name} base": lambda name=name: make_mixture(base=name) for name in BASES},
    "scattered masks": lambda: make_mixture(mask="alternating"),
    "several architectures": lambda: make_mixture(["nsf", "maf", "nsf"]),
    "shared layers": with_shared_layers,
    "batch normalisation": batch_normalised,
    "posterior network": lambda: make_mixture(posterior=True),
}
OBJECTIVES = {
    "likelihood": LikelihoodObjective(),
    "consistency": LikelihoodObjective(consistency_weight=1.0),
    "Dirichlet prior": LikelihoodObjective(log_weight_factor=-0.1),
    "responsibilities": AssignedObjective(),
    "responsibilities as labels": AssignedObjective(1.0),
    "posterior's start": AssignedPosterior(),
}


def make_run(
    mixture,
    objective=OBJECTIVES["likelihood"],
    *,
    options=PLAIN,
    with_labels=False,
    device="meta",
    home=None,
    **how,
):
    """A run whose epochs have several batches of every kind of noise; its rows are at home on its device or another."""
    mixture.to(device).train()
    device = home or device
    allowed = torch.ones(N_ROWS, N_COMPONENTS, dtype=torch.bool, device=device) if with_labels else None
    resp = torch.full((N_ROWS, mixture.n_restarts, N_COMPONENTS), 1 / N_COMPONENTS, device=device)
    rows = Rows(torch.randn(N_ROWS, N_FEATURES, device=device), torch.ones(N_ROWS, device=device), allowed, resp)
    neighbors = torch.zeros((N_ROWS, 5), dtype=torch.int64, device=device)
    noise = {"noise": 0.1, "neighbors": neighbors, "neighbor_noise": 0.1}
    return loop.Run(mixture, RowBatches(rows, BATCH, **noise, **how), options, objective, rows)


@pytest.fixture
def meta(monkeypatch):
    """Allow runs on the meta device, where no mixture can be scored and torch would make no fused step."""
    monkeypatch.setattr(loop, "evaluate", lambda mixture, *_: torch.zeros(mixture.n_restarts))
    monkeypatch.setattr(batches, "_MIN_STEPS_PER_ITERATION", 1)
    monkeypatch.setattr(adam, "_device_dtype_check_for_fused", lambda parameter: None)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("name", MIXTURES)
def test_epoch_exchanges_nothing_with_the_host(name):
    assert not sent_from_the_host(make_run(MIXTURES[name]())._take_steps)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("optimizer", optimizers.OPTIMIZERS)
def test_averaged_steps_of_any_optimizer_exchange_nothing_with_the_host(optimizer):
    options = TrainingOptions(optimizer=optimizer, averaging=0.9)
    assert not sent_from_the_host(make_run(make_mixture(), options=options)._take_steps)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("posterior", [False, True])
@pytest.mark.parametrize("with_labels", [False, True])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_exchanges_nothing_with_the_host(name, with_labels, posterior):
    mixture = make_mixture(posterior=posterior or name == "posterior's start")
    learner = mixture.posterior if name == "posterior's start" else mixture
    assert not sent_from_the_host(make_run(learner, OBJECTIVES[name], with_labels=with_labels)._take_steps)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("objective", [OBJECTIVES["consistency"], AssignedObjective()])
def test_batches_of_rows_at_home_on_the_cpu_are_sent_to_the_mixture(objective):
    run = make_run(make_mixture(), objective, with_labels=True, home="cpu")
    run._take_steps()
    for batch in run.batches(1):
        assert {column.device.type for column in vars(batch).values() if column is not None} == {"meta"}


EXCHANGES = {
    "a list of places": lambda z: z[..., [2, 0, 1]],
    "a number as a tensor": lambda z: z * torch.tensor(2.0, device=z.device),
    "a tensor of numbers": lambda z: z + torch.as_tensor([1.0, 2.0, 3.0], device=z.device),
}
QUESTIONS = {
    "item": lambda z: z * z.sum().item(),
    "truth": lambda z: z if (z > 0).all() else -z,
    "list": lambda z: z * z.sum((0, 1)).tolist()[0],
    "mask": lambda z: z + z[z > 0].sum(),
    "nonzero": lambda z: z + len(z.nonzero()),
}


class Nosy(Normal):
    def log_prob(self, z):
        return super().log_prob(self.ask(z))


def nosy_run(ask):
    mixture = make_mixture()
    mixture.base = Nosy(N_RESTARTS * N_COMPONENTS, N_FEATURES)
    mixture.base.ask = ask
    return make_run(mixture)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("name", EXCHANGES)
def test_what_is_sent_from_the_host_is_found(name):
    assert sent_from_the_host(nosy_run(EXCHANGES[name])._take_steps)


@pytest.mark.usefixtures("meta")
@pytest.mark.parametrize("name", QUESTIONS)
def test_what_asks_the_device_is_found(name):
    with pytest.raises((RuntimeError, NotImplementedError)):
        nosy_run(QUESTIONS[name])._take_steps()


@pytest.fixture
def strict_cuda():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    before = torch.cuda.get_sync_debug_mode()
    yield lambda: torch.cuda.set_sync_debug_mode("error")
    torch.cuda.set_sync_debug_mode(before)


@pytest.mark.cuda
@pytest.mark.parametrize("n_epochs_before", [1, 3], ids=["plain", "captured"])
@pytest.mark.parametrize("name", MIXTURES)
def test_epoch_does_not_wait_for_the_gpu(name, n_epochs_before, strict_cuda):
    run = make_run(MIXTURES[name](), device="cuda", generator=torch.Generator("cuda").manual_seed(0))
    run.iteration = 1
    for _ in range(n_epochs_before):
        run._take_steps()
    assert run.step.is_captured == (True if n_epochs_before == 3 else None)
    strict_cuda()
    run._take_steps()


class Tape(TorchDispatchMode):
    """What a CUDA graph is, on a CPU: operations are repeated on the memory that they were recorded with."""

    def __init__(self):
        super().__init__()
        self.records, self.n_replays = [], 0

    def beside(self, function):
        return function()

    def capture(self, function):
        self.before = {}
        try:
            with self:
                return function()
        finally:
            for storage, numbers in self.before.values():
                storage.copy_(numbers)

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        for tensor in _tensors((arguments, options)):
            storage = tensor.untyped_storage()
            self.before.setdefault(storage._cdata, (storage, storage.clone()))
        result = function(*arguments, **(options or {}))
        self.records.append((function, arguments, options or {}, _tensors(result)))
        return result

    @torch.no_grad()
    def replay(self):
        self.n_replays += 1
        for function, arguments, options, results in self.records:
            for old, new in zip(results, _tensors(function(*arguments, **options)), strict=True):
                if _storage(old) != _storage(new):
                    old.copy_(new)


class TornTape(Tape):
    """A graph that cannot hold what it is given."""

    def capture(self, function):
        super().capture(function)
        raise RuntimeError("operation not permitted when stream is capturing")


@pytest.fixture
def train_both_ways(monkeypatch, device):
    """A function that trains copies of a mixture by plain and by captured steps, and compares where they end."""
    monkeypatch.setattr(optimizers, "_as_learning_rate", lambda size, device: torch.full((), size, device=device))
    monkeypatch.setattr(objectives, "_may_leave_rows_out", lambda *_: False)

    def ends(mixture, solve, graph):
        steps, mixture = [], copy.deepcopy(mixture)

        def remember(plain_step, _):
            steps.append(plain_step if graph is None else CapturedStep(plain_step, graph()))
            return steps[-1]

        monkeypatch.setattr(loop, "fastest_step", remember)
        history = solve(mixture)
        return mixture.state_dict(), history, steps

    def compare(mixture, solve, torn=False):
        graph = TornTape if torn else Tape if device == "cpu" else partial(CudaGraph, torch.device(device))
        tolerance = {"rtol": 1e-9, "atol": 1e-9} if device == "cpu" else {"rtol": 1e-3, "atol": 1e-4}
        plain, history, _ = ends(mixture, solve, None)
        captured, captured_history, steps = ends(mixture, solve, graph)
        assert [one.is_captured for one in steps] == [not torn] * len(steps)
        assert captured_history.learning_rate == history.learning_rate
        np.testing.assert_allclose(captured_history.training_score, history.training_score, **tolerance)
        for name, tensor in captured.items():
            torch.testing.assert_close(tensor, plain[name], msg=lambda text, name=name: f"{name}: {text}", **tolerance)
        return history

    return compare


def bananas(mixture, device, dtype=torch.float64):
    """Rows, neighbours of each, and a mixture that starts at them."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((N_ROWS, N_FEATURES), generator=generator, dtype=dtype)
    x[:, 1] += x[:, 0].square()
    resp = torch.rand((N_ROWS, mixture.n_restarts, N_COMPONENTS), generator=generator, dtype=dtype)
    rows = Rows(x, torch.ones(N_ROWS, dtype=dtype), None, resp / resp.sum(2, keepdim=True))
    mixture.to(dtype).flow.initialize(x.expand(len(mixture.logits.flatten()), *x.shape), resp.flatten(1).T)
    neighbors = torch.randint(N_ROWS, (N_ROWS, 5), generator=generator)
    return mixture.to(device), rows.each(lambda column: column.to(device)), neighbors.to(device)


ENOUGH = {"max_iter": 4, "batch_size": BATCH, "learning_rate": 0.02, "noise": 0.1, "neighbor_noise": 0.1}


@pytest.mark.parametrize("name", MIXTURES)
def test_captured_steps_equal_plain_ones(name, train_both_ways, device):
    mixture, rows, neighbors = bananas(MIXTURES[name](), device)
    train_both_ways(mixture, one_fit(train, rows, device, neighbors=neighbors))


def one_fit(solver, rows, device, *, objective=OBJECTIVES["likelihood"], neighbors=None, **changes):
    def solve(mixture):
        how = {"objective": objective, "neighbors": neighbors, "generator": torch.Generator(device).manual_seed(1)}
        return learn(mixture, rows, ENOUGH | changes, solve=solver, **how)[2]

    return solve


def test_captured_steps_follow_a_cut_of_the_step_size(train_both_ways, device):
    mixture, rows, _ = bananas(make_mixture(), device)
    history = train_both_ways(mixture, one_fit(train, rows, device, max_iter=9, n_iter_no_change=3, tol=1e9))
    np.testing.assert_allclose(np.array(history.learning_rate)[3::3, 0], [0.02, 0.004], rtol=1e-12)


@pytest.mark.parametrize("optimizer", optimizers.OPTIMIZERS)
def test_captured_steps_of_any_optimizer_follow_a_cut_and_are_averaged(optimizer, train_both_ways, device):
    mixture, rows, _ = bananas(make_mixture(), device)
    cut = {"max_iter": 9, "n_iter_no_change": 3, "tol": 1e9}
    train_both_ways(mixture, one_fit(train, rows, device, optimizer=optimizer, averaging=0.9, **cut))


@pytest.mark.parametrize("posterior", [False, True])
def test_steps_of_a_ramp_are_not_captured(posterior, train_both_ways, device):
    mixture, rows, _ = bananas(make_mixture(posterior=posterior), device)
    objective = OBJECTIVES["consistency"]
    train_both_ways(mixture, one_fit(train, rows, device, objective=objective, ramp_iter=4, max_iter=7))


@pytest.mark.parametrize("solver", ["em", "hard-em"])
def test_m_steps_can_be_captured(solver, train_both_ways, device):
    mixture, rows, _ = bananas(make_mixture(), device)
    train_both_ways(mixture, one_fit(SOLVERS[solver].solve, rows, device, objective=LikelihoodObjective(), max_iter=14))


def test_step_that_cannot_be_captured_is_taken_as_it_is(train_both_ways, device):
    mixture, rows, _ = bananas(make_mixture("glow"), device)
    train_both_ways(mixture, one_fit(train, rows, device), torn=True)
