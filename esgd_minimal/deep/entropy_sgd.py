"""Entropy-SGD as a PyTorch optimizer: Algorithm 1 of Chaudhari et al. (2017), one gradient a step."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from esgd_minimal.deep.chain import ChainOptimizer, Group, State, real_view
from esgd_minimal.deep.foreach import langevin_step, outer_step


class EntropySGD(ChainOptimizer):
    """Descends the negative local entropy of the loss; each `step()` is one Langevin step.

    One call uses one gradient. Every `langevin_steps`-th call also makes the outer step and starts the
    next chain, so the optimizer drops into an ordinary loop, at the cost of any other:

        for images, labels in batches:
            optimizer.zero_grad()
            loss_function(model(images), labels).backward()
            optimizer.step()

    Between outer steps the parameters hold the chain's position x′. Call `optimizer.eval()` before you
    evaluate or save the model: it puts the weights x in their place. `optimizer.train()` puts x′ back. The running
    statistics of batch normalization are the chain's, not those of x: see `batch_norm.reestimate_batch_norm`.

    Every hyper-parameter lives in `param_groups` and is read at each step, so per-group values work, and
    schedulers act on η; only `langevin_steps` must be the same in all groups. The state dict holds all that a
    resumed run needs to continue to the bit, beside the model's own, if both are taken in the same mode. What else
    writes to the parameters between two steps (a clamp, new weights) moves x′ only. The noise is drawn on the device
    of the first parameter, from a generator of the optimizer's own, and with the same `seed` it is the same on every
    process under DDP. (Sharded parameters, as FSDP has them, are not known here.) Keep the weights in 32 bits
    (autocast does): noise of the paper's size is lost in the rounding of 16.

    `presets` has the settings of the paper's text and of its two released programs. The default values here are
    the text's, without momentum and scoping, but for η′ = 0.5. That was chosen on two tasks, LeNet on MNIST and a
    small LSTM on War and Peace, at equal numbers of gradients beside SGD (tests/benchmarks/defaults.py; its tables
    are in defaults.md).
    On both, the chain did about as SGD does with the same rate and no momentum. So begin with that rate for η′, if you
    know it: 0.5 was good on MNIST, where 1 was worse and 2 diverged, and low for the LSTM, which took 5. Momentum in
    the chain, from rest at every start, was slower than SGD's of the same rate on the LSTM, and no gain on MNIST.
    Of the other arguments, γ = 1 and ε = 0.01 did harm on both; up to γ = 0.01 and ε = 0.001 neither they nor L and α
    made a difference beyond what two seeds scatter. Momentum in the outer step ruined the run on MNIST where
    η / (1 − m) was 10, and sped up the LSTM, whose rate was low.

    Args:
        params: parameters, named or not, or groups of them, as for any optimizer.
        lr: η of x ← x − η (x − μ). At 1, the paper's first value (§5), x becomes μ.
        langevin_lr: η′, the step of the chain. The paper's text keeps it between 0.1 and 1 (§4.2), with momentum.
        langevin_steps: L, the length of the chain. Paper: 5 to 20 (§4.2).
        gamma: γ₀, the pull back to x at the first outer step. Paper: 1e-4 on MNIST, 0.03 on CIFAR-10 (§5).
        scoping: γ₁ of γ(t) = γ₀ (1 + γ₁)^t, t counting outer steps. Paper: 1e-3 (§5). That is for some thousand outer
            steps: γ(t) has no bound, and the chain diverges where η′ (λ + γ(t)) passes 2, with λ the loss's curvature.
        averaging: α of μ ← (1 − α) μ + α x′. Paper: 0.75 (§4.2).
        noise: ε; each step adds √η′ ε N(0, 1). Paper: 1e-4 to 1e-3 (§4.2).
        seed: of the noise.
        momentum: m, of the outer step.
        weight_decay: λ; the outer step descends with λ x added to x − μ.
        langevin_momentum: m′, of the chain, from rest at each of its starts. Paper: 0.9, 0.5 on PTB (§5).
        langevin_weight_decay: λ′; the chain sees the loss with λ′/2 ‖x′‖² added.
        nesterov: both momenta are Nesterov's, as in the paper (§5), or else heavy balls.
        momentum_on: what of a gradient goes through the chain's momentum: "all" of it, or, as in the released
            programs, the "loss", or the "loss and decay", but not the spring, which acts past the momentum.
        gradient_starts_momentum: the outer momentum starts from the first gradient of the loss, as in the released
            PyTorch program, or else from rest.
        maximize: ascend instead.
        foreach: step all tensors of a group at once, or one by one. By default at once on a GPU only: on a CPU
            one by one is as fast or faster. The noise is drawn in another order, so it differs between the two.

    Raises:
        ValueError: a hyper-parameter out of its range, or groups that disagree about `langevin_steps`.
        RuntimeError: a step while the parameters hold x (after `eval()`), a sparse gradient, or a γ(t) for which the
            chain cannot be stable.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1.0,
        langevin_lr: float = 0.5,
        langevin_steps: int = 20,
        gamma: float = 1e-4,
        scoping: float = 0.0,
        averaging: float = 0.75,
        noise: float = 1e-4,
        seed: int = 0,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        langevin_momentum: float = 0.0,
        langevin_weight_decay: float = 0.0,
        nesterov: bool = False,
        momentum_on: Literal["all", "loss and decay", "loss"] = "all",
        gradient_starts_momentum: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
    ):
        defaults = {
            "lr": lr,
            "langevin_lr": langevin_lr,
            "langevin_steps": langevin_steps,
            "gamma": gamma,
            "scoping": scoping,
            "averaging": averaging,
            "noise": noise,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "langevin_momentum": langevin_momentum,
            "langevin_weight_decay": langevin_weight_decay,
            "nesterov": nesterov,
            "momentum_on": momentum_on,
            "gradient_starts_momentum": gradient_starts_momentum,
            "maximize": maximize,
            "foreach": foreach,
        }
        super().__init__(params, defaults, seed)

    def _langevin_step(self, x_prime: Tensor, gradient: Tensor, state: State, group: Group, draw: Callable) -> None:
        """Lines 4 to 6 of Algorithm 1:

        x′ ← x′ + η′ γ (x − x′) − η′ ∇f(x′) + √η′ ε ξ
        μ ← (1 − α) μ + α x′
        """
        x, mu, langevin_lr = state["x"], state["mu"], group["langevin_lr"]
        direction, gamma = self._chain_direction(x_prime, gradient, state, group)  # ∇f(x′), γ(t), or with momentum
        if gamma > 0:
            x_prime.lerp_(x, langevin_lr * gamma)
        x_prime.sub_(direction, alpha=langevin_lr)
        if group["noise"] > 0:
            x_prime.add_(draw(x_prime), alpha=math.sqrt(langevin_lr) * group["noise"])
        mu.lerp_(x_prime, group["averaging"])

    def _outer_step(self, x_prime: Tensor, state: State, group: Group) -> None:
        """Line 7 as in §4.3, with d = x − μ + λ x (and momentum, if m > 0, put on d), then line 1 for the next chain:

        x ← x − η d
        x′, μ ← x
        """
        x, mu = state["x"], state["mu"]
        direction = x - mu
        if group["weight_decay"] > 0:
            direction.add_(x, alpha=group["weight_decay"])
        if group["momentum"] > 0:
            v = state["momentum"].mul_(group["momentum"]).add_(direction)
            direction = direction.add_(v, alpha=group["momentum"]) if group["nesterov"] else v
        x.sub_(direction, alpha=float(group["lr"]))
        x_prime.copy_(x)
        mu.copy_(x)
        if "langevin_momentum" in state:
            state["langevin_momentum"].zero_()

    def _chain_direction(self, x_prime: Tensor, gradient: Tensor, state: State, group: Group) -> tuple[Tensor, float]:
        """The gradient with weight decay and momentum, v ← m′ v + g, and the γ of what the spring does besides."""
        gamma, decay, m = self._scope(group), group["langevin_weight_decay"], group["langevin_momentum"]
        g, on = gradient, group["momentum_on"]
        if m > 0 and on == "all":
            g, gamma = (x_prime - state["x"]).mul_(gamma).add_(g), 0.0
        if decay > 0 and on != "loss":
            g = _plus(g, x_prime, decay, gradient)
        if m > 0:
            v = state["langevin_momentum"].mul_(m).add_(g)
            g = _plus(g, v, m, gradient) if group["nesterov"] else v
        if decay > 0 and on == "loss":
            g = _plus(g, x_prime, decay, gradient)
        return g, gamma

    def _langevin_step_foreach(
        self, x_primes: list[Tensor], gradients: list[Tensor], states: list[State], group: Group, draws: Callable
    ) -> None:
        langevin_step(x_primes, gradients, states, group, self._scope(group), draws)

    def _outer_step_foreach(self, x_primes: list[Tensor], states: list[State], group: Group) -> None:
        outer_step(x_primes, states, group)

    def _start(self, p: Tensor, gradient: Tensor | None, group: Group) -> None:
        """Also the momenta, where they are wanted."""
        super()._start(p, gradient, group)
        state = self.state[p]
        if group["langevin_momentum"] > 0 and "langevin_momentum" not in state:
            state["langevin_momentum"] = torch.zeros_like(p)
        if group["momentum"] > 0 and "momentum" not in state:
            state["momentum"] = torch.zeros_like(p)
            if group["gradient_starts_momentum"] and gradient is not None:
                real_view(state["momentum"]).copy_(gradient)

    def _largest_pull(self, group: Group) -> float:
        """2, and with momentum on the spring as of gradient descent with that momentum on a quadratic."""
        m = group["langevin_momentum"] if group["momentum_on"] == "all" else 0.0
        return (2 + 2 * m) / (1 + 2 * m) if group["nesterov"] else 2 + 2 * m

    def _checks(self, group: Group) -> dict[str, tuple[bool, str]]:
        on, heavy = group["momentum_on"], group["langevin_momentum"] > 0 and not group["nesterov"]
        return super()._checks(group) | {
            "momentum": (0 <= group["momentum"] < 1, "in [0, 1)"),
            "momentum_on": (
                on == "all" or (on in ("loss and decay", "loss") and not heavy),
                "'all', or with nesterov 'loss and decay' or 'loss'",
            ),
        }


def _plus(g: Tensor, other: Tensor, alpha: float, gradient: Tensor) -> Tensor:
    """g + alpha other, in g's own memory unless that is the gradient's, which is the user's."""
    return g.add(other, alpha=alpha) if g is gradient else g.add_(other, alpha=alpha)
