r"""Expectation-maximisation (Dempster, Laird and Rubin, 1977, JRSS B 39).

It maximises the joint likelihood :math:`\sum_n v_n \log p(x_n, S_n)`, where :math:`S_n` holds the components that the
row's label allows and :math:`v_n` is its weight. The E-step takes, at the current parameters and for all rows,

.. math:: r_{nk} = p(k \mid x_n, S_n), \qquad w_k = \sum_n v_n r_{nk} / \sum_n v_n,

and the M-step raises each :math:`Q_k = \sum_n v_n r_{nk} \log p(x_n \mid k)` by gradient. No :math:`Q_k` may end
below its value at the E-step, so that the likelihood never falls (generalised EM, ibid.). Classification EM (Celeux
and Govaert, 1992, CSDA 14) gives each row to its most probable component alone; what cannot fall is then
:math:`\sum_n v_n \max_{k \in S_n} [\log w_k + \log p(x_n \mid k)]`.
"""

from dataclasses import replace

import torch
from torch.nn.functional import one_hot

from ..modules import FlowMixture
from ..threads import one_torch_thread
from .history import History
from .loop import QUIET, Run, evaluate, train
from .objectives import AssignedObjective
from .report import Phase

PASSES = 3
_SMALLEST_WEIGHT = 1e-10


def posterior(log_joint):
    """Log-probability and components' probabilities: (R, N, K) -> (R, N), (R, N, K)."""
    return log_joint.logsumexp(-1), log_joint.softmax(-1)


def most_probable(log_joint):
    """The greatest joint log-density, and its component one-hot: (R, N, K) -> (R, N), (R, N, K)."""
    greatest, component = log_joint.max(-1)
    return greatest, one_hot(component, log_joint.shape[-1]).to(log_joint)


@torch.no_grad()
def e_step(mixture, rows, *, assign=posterior, unlabelled_weight=1.0):
    """Assign rows to components.

    Parameters
    ----------
    mixture : FlowMixture
    rows : Rows
    assign : callable, default=posterior
        `posterior` or `most_probable`.
    unlabelled_weight : float, default=1.0
        Weight of the rows that allow every component.

    Returns
    -------
    bound : Tensor of shape (R,)
        Mean over the rows of what EM maximises, in nats.
    rows : Rows
        The same with `resp`, in which `unlabelled_weight` is multiplied.
    """
    log_probs, resps = [], []
    for chunk in rows.chunks(mixture):
        log_joint = mixture.restart_log_joint(chunk.x)
        if chunk.allowed is not None:
            log_joint = log_joint.masked_fill(~chunk.allowed, -torch.inf)
        log_prob, resp = assign(log_joint)
        log_probs.append(log_prob.to(rows.x.device))
        resps.append(resp.transpose(0, 1).to(rows.x.device))
    rows = _weigh_unlabelled(replace(rows, resp=torch.cat(resps)), unlabelled_weight)
    total = rows.weight * rows.resp.sum(-1).T * torch.cat(log_probs, 1)
    return (total.sum(1) / rows.weight.sum()).to(mixture.logits.device), rows


def _weigh_unlabelled(rows, unlabelled_weight):
    if rows.allowed is None:
        return replace(rows, resp=rows.resp * unlabelled_weight)
    unlabelled = rows.allowed.all(-1)[:, None, None]
    return replace(rows, resp=torch.where(unlabelled, rows.resp * unlabelled_weight, rows.resp))


def by_em(
    mixture,
    batches,
    options,
    *,
    objective,
    validation=None,
    assign=posterior,
    after_warm_up=None,
    report=QUIET,
):
    """Assign the rows to components, let each component learn its rows, and so on by turns.

    The first M-step follows the responsibilities of the start, where there are any, until its components stop
    improving. Every component has its own best state, step size and early stopping.

    Parameters
    ----------
    mixture : FlowMixture
    batches : RowBatches
    options : TrainingOptions
        `max_iter` bounds the iterations of all M-steps together.
    objective : LikelihoodObjective
        The discriminative term has no surrogate and does not count. A Dirichlet prior of the weights counts where it
        is concave, which is where the weights have a closed form.
    validation : Rows, default=None
    assign : callable, default=posterior
        As in `e_step`.
    after_warm_up : callable, default=None
        Called with the mixture as it is when the first M-step has ended.
    report : Report, default=QUIET
        Is told of every E-step, and of every iteration of the first M-step.

    Returns
    -------
    score : list of float
        Of each restart's best state, the bound of the validation rows, or else of the training rows.
    converged : bool
        Whether all components stopped improving before `max_iter`.
    history : History
        Its training score is the bound after every E-step, which does not fall; `history.m_steps` tells of the
        components.
    """
    learn_weights = mixture.logits.requires_grad
    mixture.logits.requires_grad_(False)
    try:
        with one_torch_thread():
            parts, warm_up = _independent_parts(mixture.eval()), None
            if batches.rows.resp is not None and mixture.n_components > 1:
                warm_up = _follow_start(parts, batches, options, objective.unlabelled_weight, validation, report)
                if after_warm_up is not None and not warm_up.interrupted:
                    after_warm_up(mixture)
                n_left = 0 if warm_up.interrupted else options.max_iter - len(warm_up.training_score)
                options = replace(options, max_iter=n_left)
            run = _Alternation(mixture, parts, batches, options, objective, validation, assign, learn_weights)
            run.history.follow(warm_up)
            return _alternate(run, options, report)
    finally:
        mixture.logits.requires_grad_(learn_weights)


def _alternate(run, options, report):
    try:
        with report.phase("training", options.max_iter, history=run.history) as told:
            while run.m_steps.iteration < options.max_iter and run.m_steps.active.any() and not run.history.stopped:
                run.iterate(told)
    except KeyboardInterrupt:
        run.history.interrupted = True
    finally:
        run.finish()
    return run.best_score.tolist(), not bool(run.m_steps.active.any()), run.history


def _independent_parts(mixture):
    """The same parameters as R K mixtures of one component, unless components have parameters in common."""
    n_flows = mixture.n_restarts * mixture.n_components
    own = all(len(parameter) == n_flows for parameter in mixture.parameters() if parameter is not mixture.logits)
    if mixture.n_components == 1 or not own:
        return mixture
    parts = FlowMixture(mixture.flow, mixture.base, 1, n_restarts=n_flows).to(mixture.logits)
    parts.logits.requires_grad_(False)
    return parts


def _for_parts(parts, rows):
    """Rows whose responsibilities are those of the parts' components; None stays None."""
    if rows is None:
        return None
    return replace(rows, resp=rows.resp.reshape(len(rows), parts.n_restarts, parts.n_components))


def _follow_start(parts, batches, options, unlabelled_weight, validation, report):
    """The first M-step, as `solvers.by_gradient` has it; its History."""
    rows, validation = (
        None if some is None else _for_parts(parts, _weigh_unlabelled(some, unlabelled_weight))
        for some in (batches.rows, validation)
    )
    options = replace(options, max_iter=options.max_iter // 2, n_step_sizes=1)
    how = {"objective": AssignedObjective(), "validation": validation, "report": report, "phase": "warm-up"}
    _, _, history = train(parts, replace(batches, rows=rows), options, **how)
    return history


class _Alternation:
    """State of a fit by EM; bounds and scores are one entry for each restart.

    All M-steps are one run of the parts, whose step sizes and early stopping go on from one to the next. None keeps a
    state in which a part explains its training rows worse than it did at the E-step.
    """

    def __init__(self, mixture, parts, batches, options, objective, validation, assign, learn_weights):
        self.mixture, self.parts, self.options, self.learn_weights = mixture, parts, options, learn_weights
        self.e_step_options = {"unlabelled_weight": objective.unlabelled_weight, "assign": assign}
        self.log_weight_factor = max(objective.log_weight_factor, 0.0)
        self.batches, self.rows, self.validation = batches, batches.rows, validation
        self.best_score = self._e_step().nan_to_num(-torch.inf, neginf=-torch.inf)
        self.m_objective, m_history = AssignedObjective(), History()
        self.m_steps = Run(parts, *self._given(), accept=self._explains, history=m_history)
        self.m_told = Phase("m-steps", options.max_iter, (m_history,))
        self.history = History(m_steps=m_history)
        self.best_state, self.best_logits = self.m_steps.table.state(), mixture.logits.clone()

    def iterate(self, told):
        active = self._of_restarts(self.m_steps.active).any(1)
        if self.learn_weights:
            self._set_weights(active)
        self._m_step()
        score = self._e_step()
        self.history.stopped = self._tell(told, score)
        better = active & (score > self.best_score)
        self.best_score = torch.where(better, score, self.best_score)
        self.best_logits[better] = self.mixture.logits[better]
        chosen = better[:, None].expand_as(self._of_restarts(self.m_steps.active)).flatten()
        self.m_steps.table.copy_rows(self.m_steps.table.live_state, self.best_state, chosen)

    def _of_restarts(self, values):
        """What the parts have, restart by restart."""
        return values.view(self.mixture.n_restarts, -1)

    @torch.no_grad()
    def _set_weights(self, active):
        share = torch.einsum("n,nrk->rk", self.rows.weight, self.rows.resp)
        share = (share + self.log_weight_factor * self.rows.weight.sum()).to(self.mixture.logits.device)
        total = share.sum(1, keepdim=True)
        logits = (share / total).clamp_min(_SMALLEST_WEIGHT).log()
        self.mixture.logits.copy_(torch.where(active[:, None] & (total > 0), logits, self.mixture.logits))

    def _given(self):
        """What the M-step after an E-step learns from, its options and objective, and what decides on its states."""
        self.assigned, held_out = (_for_parts(self.parts, some) for some in (self.rows, self.validation))
        batches = replace(self.batches, rows=self.assigned)
        return batches, self.options, self.m_objective, self.assigned if held_out is None else held_out

    def _explains(self, score):
        """Whether the parts explain their training rows no worse than at the E-step, bool Tensor of shape (R K,)."""
        if self.m_steps.validation is not self.assigned:
            score = evaluate(self.parts, self.assigned, self.m_objective)
        return score >= self.floor

    def _m_step(self):
        batches, _, _, deciding = self._given()
        self.floor = evaluate(self.parts, self.assigned, self.m_objective)
        self.m_steps.follow(batches, deciding)
        self.parts.train()
        for _ in range(min(PASSES, self.options.max_iter - self.m_steps.iteration)):
            self.m_steps.iterate()
            self.m_steps.tell(self.m_told)
        self.m_steps.finish()
        self.parts.eval()

    def _e_step(self):
        """Assign all rows; the score that decides on the best state."""
        prior = self.log_weight_factor * self.mixture.log_weights().sum(1).detach()
        bound, self.rows = e_step(self.mixture, self.rows, **self.e_step_options)
        self.bound = bound + prior
        if self.validation is None:
            return self.bound
        score, self.validation = e_step(self.mixture, self.validation, **self.e_step_options)
        return score + prior

    def _tell(self, told, score):
        self.history.n_rollbacks = self.m_steps.history.n_rollbacks
        return told.tell(
            self.m_steps.iteration,
            training_score=self.bound.tolist(),
            validation_score=None if self.validation is None else score.tolist(),
            learning_rate=self._of_restarts(torch.tensor(self.m_steps.step_sizes)).amax(1).tolist(),
        )

    @torch.no_grad()
    def finish(self):
        everyone = torch.ones_like(self.m_steps.active)
        self.m_steps.table.copy_rows(self.best_state, self.m_steps.table.live_state, everyone)
        self.mixture.logits.copy_(self.best_logits)
        self.mixture.eval()
