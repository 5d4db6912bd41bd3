"""Entropy-SGD as a PyTorch optimizer: Algorithm 1 of Chaudhari et al. (2017), one gradient a step."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class EntropySGD(Optimizer):
    """Descends the negative local entropy of the loss; each `step()` is one Langevin step.

    One call uses one gradient. Every `langevin_steps`-th call also makes the outer step and starts the
    next chain, so the optimizer drops into an ordinary loop, at the cost of any other:

        for images, labels in batches:
            optimizer.zero_grad()
            loss_function(model(images), labels).backward()
            optimizer.step()

    Between outer steps the parameters hold the chain's position x′. Call `optimizer.eval()` before you
    evaluate or save the model: it puts the weights x in their place. `optimizer.train()` puts x′ back.

    Every hyper-parameter lives in `param_groups` and is read at each step, so schedulers and per-group
    values work; only `langevin_steps` must be the same in all groups. The state dict holds all that a resumed
    run needs to continue to the bit. The noise is drawn on the device of the first parameter, from a
    generator of the optimizer's own.

    Not here yet: momentum, weight decay, the presets of the released codes, and any care for the running
    statistics of batch normalization, which the chain moves at x′.

    Args:
        params: parameters, or groups of them, as for any optimizer.
        lr: η of x ← x − η (x − μ). At 1, the paper's first value (§5), x becomes μ.
        langevin_lr: η′, the step of the chain. The paper's text keeps it between 0.1 and 1 (§4.2), with momentum.
            Without it, 1 did best on the digits of chapter 1, of 0.1, 0.2, 0.5, 1 and 2.
        langevin_steps: L, the length of the chain. Paper: 5 to 20 (§4.2).
        gamma: γ₀, the pull back to x at the first outer step. Paper: 1e-4 on MNIST, 0.03 on CIFAR-10 (§5).
        scoping: γ₁ of γ(t) = γ₀ (1 + γ₁)^t, t counting outer steps. Paper: 1e-3 (§5).
        averaging: α of μ ← (1 − α) μ + α x′. Paper: 0.75 (§4.2).
        noise: ε; each step adds √η′ ε N(0, 1). Paper: 1e-4 to 1e-3 (§4.2).
        seed: of the noise.

    Raises:
        ValueError: a hyper-parameter out of its range, or groups that disagree about `langevin_steps`.
        RuntimeError: a step while the parameters hold x (after `eval()`), or a sparse or complex gradient.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        langevin_lr: float = 0.1,
        langevin_steps: int = 20,
        gamma: float = 1e-4,
        scoping: float = 1e-3,
        averaging: float = 0.75,
        noise: float = 1e-4,
        seed: int = 0,
    ):
        defaults = {
            "lr": lr,
            "langevin_lr": langevin_lr,
            "langevin_steps": langevin_steps,
            "gamma": gamma,
            "scoping": scoping,
            "averaging": averaging,
            "noise": noise,
        }
        super().__init__(params, defaults)
        # What belongs to the whole run is in the first group: only groups come through a checkpoint unchanged
        # (load_state_dict casts the tensors of the state to the parameters' type, and drops attributes).
        self._run.update(outer=0, inner=0, evaluating=False, seed=seed, generator_state=None)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One Langevin step for every parameter that has a gradient; at the chain's end, the outer step too.

        A closure, if there is one, is evaluated once, and its loss is returned.
        """
        if self._run["evaluating"]:
            raise RuntimeError("EntropySGD is in eval mode, so there is no chain to continue: call train() first.")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moving = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        for p, _ in moving:
            if p.grad.is_sparse or p.is_complex():
                raise RuntimeError("EntropySGD takes dense, real gradients only.")
        for p, group in moving:
            self._langevin_step(p, group)
        self._run["inner"] += 1
        if self._run["inner"] >= self._langevin_steps():
            for group in self.param_groups:
                for p in group["params"]:
                    if p in self.state:
                        self._outer_step(p, group)
            self._run["inner"] = 0
            self._run["outer"] += 1
        return loss

    def _langevin_step(self, p: Tensor, group: dict[str, Any]) -> None:
        """Lines 4 to 6 of Algorithm 1:

        x′ ← x′ − η′ (∇f(x′) − γ (x − x′)) + √η′ ε ξ
        μ ← (1 − α) μ + α x′
        """
        state = self.state[p]
        if not state:
            state["x"], state["mu"] = p.clone(), p.clone()
        x, mu, langevin_lr = state["x"], state["mu"], group["langevin_lr"]
        gamma = group["gamma"] * (1 + group["scoping"]) ** self._run["outer"]
        p.sub_(p.grad - gamma * (x - p), alpha=langevin_lr)
        if group["noise"] > 0:
            p.add_(self._draw(p), alpha=math.sqrt(langevin_lr) * group["noise"])
        mu.mul_(1 - group["averaging"]).add_(p, alpha=group["averaging"])

    def _outer_step(self, p: Tensor, group: dict[str, Any]) -> None:
        """Line 7 as in §4.3, then line 1 for the next chain:

        x ← x − η (x − μ)
        x′, μ ← x
        """
        x, mu = self.state[p]["x"], self.state[p]["mu"]
        x.sub_(x - mu, alpha=group["lr"])
        p.copy_(x)
        mu.copy_(x)

    def _draw(self, p: Tensor) -> Tensor:
        """Standard normals in the shape of p, from the run's own generator."""
        device = self.param_groups[0]["params"][0].device
        generator = torch.Generator(device)
        if self._run["generator_state"] is None:
            generator.manual_seed(self._run["seed"])
        else:
            generator.set_state(self._run["generator_state"].cpu())
        draw = torch.randn(p.shape, generator=generator, dtype=p.dtype, device=device)
        self._run["generator_state"] = generator.get_state()
        return draw.to(p.device)

    @torch.no_grad()
    def eval(self) -> None:
        """Put the weights x into the parameters, and keep x′ aside."""
        if not self._run["evaluating"]:
            for p, state in self.state.items():
                state["x_prime"] = p.clone()
                p.copy_(state["x"])
            self._run["evaluating"] = True

    @torch.no_grad()
    def train(self) -> None:
        """Put the chain's position x′ back into the parameters, as if `eval()` had not been called."""
        if self._run["evaluating"]:
            for p, state in self.state.items():
                p.copy_(state.pop("x_prime"))
            self._run["evaluating"] = False

    @property
    def _run(self) -> dict[str, Any]:
        """The run's own state: the clock (outer, inner), the mode, the noise generator's seed and state."""
        return self.param_groups[0]

    def _langevin_steps(self) -> int:
        lengths = {group["langevin_steps"] for group in self.param_groups}
        if len(lengths) > 1:
            raise ValueError(f"All groups must have the same langevin_steps; got {sorted(lengths)}.")
        return lengths.pop()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As for any optimizer, with the values checked."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        checks = {
            "lr": (group["lr"] >= 0, "0 or more"),
            "langevin_lr": (group["langevin_lr"] >= 0, "0 or more"),
            "langevin_steps": (group["langevin_steps"] >= 1, "1 or more"),
            "gamma": (group["gamma"] >= 0, "0 or more"),
            "scoping": (group["scoping"] >= 0, "0 or more"),
            "averaging": (0 < group["averaging"] <= 1, "in (0, 1]"),
            "noise": (group["noise"] >= 0, "0 or more"),
        }
        for name, (fine, wanted) in checks.items():
            if not fine:
                raise ValueError(f"{name} must be {wanted}; got {group[name]}.")
        self._langevin_steps()
