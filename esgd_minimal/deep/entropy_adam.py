"""Entropy-Adam: Adam fed with the local-entropy gradient (Chaudhari et al., 2017, §4.2)."""

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.optimizer import ParamsT

from esgd_minimal.deep.chain import ChainOptimizer, Group, State
from esgd_minimal.deep.entropy_sgd import EntropySGD
from esgd_minimal.deep.foreach import next_chain


class EntropyAdam(EntropySGD):
    """EntropySGD whose outer step is Adam's, torch's own, on x − μ in the place of a gradient.

    The gradient of the negative local entropy is γ (x − μ). Adam does not see a constant factor, but for its `eps`;
    so γ is left out here as in EntropySGD. Used as EntropySGD is, with its chain, the chain's
    arguments and their default values, besides:

    Args:
        lr: Adam's learning rate. Paper, on War and Peace: 0.01, halved each epoch (§5.4).
        betas: of the running averages of x − μ and of its square. Paper: 0.5 for the first (§5.4).
        eps: added to the root of the second.
        weight_decay: λ; λ x is added to x − μ, as in Adam.

    Raises:
        ValueError, RuntimeError: as EntropySGD.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        langevin_lr: float = 0.5,
        langevin_steps: int = 20,
        gamma: float = 1e-4,
        scoping: float = 0.0,
        averaging: float = 0.75,
        noise: float = 1e-4,
        seed: int = 0,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        langevin_momentum: float = 0.0,
        langevin_weight_decay: float = 0.0,
        nesterov: bool = False,
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
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "langevin_momentum": langevin_momentum,
            "langevin_weight_decay": langevin_weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            # EntropySGD's, which the chain's formula reads, or Adam's averages replace:
            "momentum": 0.0,
            "momentum_on": "all",
            "gradient_starts_momentum": False,
        }
        ChainOptimizer.__init__(self, params, defaults, seed)

    def _outer_step(self, x_prime: Tensor, state: State, group: Group) -> None:
        self._adam_step([x_prime], [state], group, foreach=False)

    def _outer_step_foreach(self, x_primes: list[Tensor], states: list[State], group: Group) -> None:
        self._adam_step(x_primes, states, group, foreach=True)

    def _adam_step(self, x_primes: list[Tensor], states: list[State], group: Group, foreach: bool) -> None:
        """x ← Adam's step from x on x − μ; then x′, μ ← x."""
        xs = [state["x"] for state in states]
        adam(
            xs,
            list(torch._foreach_sub(xs, [state["mu"] for state in states])),
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            foreach=foreach,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=float(group["lr"]),
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,  # the chain has turned its gradients round already
        )
        next_chain(x_primes, states)

    def _start(self, p: Tensor, gradient: Tensor | None, group: Group) -> None:
        super()._start(p, gradient, group)
        state = self.state[p]
        if "step" not in state:
            state.update(exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p), step=torch.tensor(0.0))

    def _checks(self, group: Group) -> dict[str, tuple[bool, str]]:
        return super()._checks(group) | {
            "betas": (all(0 <= beta < 1 for beta in group["betas"]), "in [0, 1)"),
            "eps": (group["eps"] >= 0, "0 or more"),
        }
