"""What an optimizer with an inner Langevin chain needs besides its formulas: the clock, the noise, x and x′."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from esgd_minimal.deep.noise import continued, normal, normals, start_stream

Group = dict[str, Any]
State = dict[str, Tensor]  # of one parameter: x, μ, and what else its formulas need


class ChainOptimizer(Optimizer):
    """One call of `step()` is one step of the chain x′; every `langevin_steps`-th call also moves the weights x.

    A subclass brings the formulas: `_start`, `_langevin_step` and `_outer_step`, and for many tensors at once
    `_langevin_step_foreach` and `_outer_step_foreach`. They see complex parameters as pairs of real numbers.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any], seed: int):
        super().__init__(params, defaults)
        # What belongs to the whole run is in the first group: only groups come through a checkpoint unchanged
        # (load_state_dict casts the tensors of the state to the parameters' type, and drops attributes).
        self._run.update(outer=0, inner=0, evaluating=False)
        start_stream(self._run, seed)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One Langevin step for every parameter that has a gradient; at the chain's end, the outer step too.

        A parameter that has had no gradient in the whole chain stays where it is, momenta and all.
        A closure, if there is one, is evaluated once, and its loss is returned.
        """
        name, run = type(self).__name__, self._run
        if run["evaluating"]:
            raise RuntimeError(f"{name} is in eval mode, so there is no chain to continue: call train() first.")
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moving = [[p for p in group["params"] if p.grad is not None] for group in self.param_groups]
        if any(p.grad.is_sparse for params in moving for p in params):
            raise RuntimeError(f"{name} does not take sparse gradients: the noise and the spring move every weight.")
        with continued(run, self._device()) as generator:
            for group, params in zip(self.param_groups, moving, strict=True):
                self._walk(params, group, generator)
                if len(group["walked"]) < len(group["params"]):
                    now = (k for k, p in enumerate(group["params"]) if p.grad is not None)
                    group["walked"] = sorted({*group["walked"], *now})
        run["inner"] += 1
        if run["inner"] >= self._langevin_steps():
            for group in self.param_groups:
                self._settle([group["params"][k] for k in group["walked"]], group)
                group["walked"] = []
            run["inner"] = 0
            run["outer"] += 1
        return loss

    def _walk(self, params: list[Tensor], group: Group, generator: torch.Generator) -> None:
        """The chain's step in one group."""
        pull, largest = group["langevin_lr"] * self._scope(group), self._largest_pull(group)
        if pull >= largest:
            raise RuntimeError(
                f"At outer step {self._run['outer']} langevin_lr · γ(t) is {pull:.3g}, and the chain diverges where the"
                f" spring alone is at {largest:.3g}: lower scoping, gamma or langevin_lr."
            )
        gradients = []
        for p in params:
            assert p.grad is not None
            gradients.append(real_view(-p.grad if group["maximize"] else p.grad))
            self._start(p, gradients[-1], group)
        x_primes, states = [real_view(p) for p in params], self._states(params)
        if params and _together(params, group):
            self._langevin_step_foreach(x_primes, gradients, states, group, lambda: self._draws(x_primes, generator))
            return

        def draw(like: Tensor) -> Tensor:
            return self._draw(like, generator)

        for x_prime, gradient, state in zip(x_primes, gradients, states, strict=True):
            self._langevin_step(x_prime, gradient, state, group, draw)

    def _settle(self, params: list[Tensor], group: Group) -> None:
        """The outer step in one group, and the next chain's start."""
        for p in params:
            self._start(p, None, group)
        x_primes, states = [real_view(p) for p in params], self._states(params)
        if params and _together(params, group):
            self._outer_step_foreach(x_primes, states, group)
        else:
            for x_prime, state in zip(x_primes, states, strict=True):
                self._outer_step(x_prime, state, group)

    def _start(self, p: Tensor, gradient: Tensor | None, group: Group) -> None:
        """Before a step: whatever state it needs is there. At first, x and μ are where the parameter is."""
        if not self.state[p]:
            self.state[p].update(x=p.clone(), mu=p.clone())

    def _states(self, params: list[Tensor]) -> list[State]:
        states = [self.state[p] for p in params]
        if not any(p.is_complex() for p in params):
            return states
        return [{name: real_view(value) for name, value in state.items()} for state in states]

    def _draw(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """The draws ξ of a tensor; a test may put its own in their place."""
        return normal(like, generator)

    def _draws(self, like: list[Tensor], generator: torch.Generator) -> list[Tensor]:
        return normals(like, generator)

    def _langevin_step(self, x_prime: Tensor, gradient: Tensor, state: State, group: Group, draw: Callable) -> None:
        raise NotImplementedError

    def _outer_step(self, x_prime: Tensor, state: State, group: Group) -> None:
        raise NotImplementedError

    def _langevin_step_foreach(
        self, x_primes: list[Tensor], gradients: list[Tensor], states: list[State], group: Group, draws: Callable
    ) -> None:
        raise NotImplementedError

    def _outer_step_foreach(self, x_primes: list[Tensor], states: list[State], group: Group) -> None:
        raise NotImplementedError

    def _scope(self, group: Group) -> float:
        """γ(t) = γ₀ (1 + γ₁)^t at outer step t."""
        return group["gamma"] * (1 + group["scoping"]) ** self._run["outer"]

    def _largest_pull(self, group: Group) -> float:
        """The η′γ at which the chain on the spring alone stops being stable."""
        return 2.0

    @torch.no_grad()
    def eval(self) -> None:
        """Put the weights x into the parameters, and keep x′ aside."""
        if not self._run["evaluating"]:
            for p, state in self.state.items():
                if state:  # who only looks at the state of a parameter leaves an empty one
                    state["x_prime"] = p.clone()
                    p.copy_(state["x"])
            self._run["evaluating"] = True

    @torch.no_grad()
    def train(self) -> None:
        """Put the chain's position x′ back into the parameters, as if `eval()` had not been called."""
        if self._run["evaluating"]:
            for p, state in self.state.items():
                if state:
                    p.copy_(state.pop("x_prime"))
            self._run["evaluating"] = False

    @property
    def _run(self) -> Group:
        """The run's own state: the clock (outer, inner), the mode, the noise's seed and generator state."""
        return self.param_groups[0]

    def _device(self) -> torch.device:
        """Where the noise is drawn: at the first parameter."""
        return next((p.device for group in self.param_groups for p in group["params"]), torch.device("cpu"))

    def _langevin_steps(self) -> int:
        lengths = {group["langevin_steps"] for group in self.param_groups}
        if len(lengths) > 1:
            raise ValueError(f"All groups must have the same langevin_steps; got {sorted(lengths)}.")
        return lengths.pop()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As for any optimizer, with the values checked."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group["walked"] = []  # which of its parameters have had a gradient since the last outer step
        try:
            for name, (fine, wanted) in self._checks(group).items():
                if not fine:
                    raise ValueError(f"{name} must be {wanted}; got {group[name]}.")
            self._langevin_steps()
        except ValueError:
            self.param_groups.pop()
            raise

    def _checks(self, group: Group) -> dict[str, tuple[bool, str]]:
        """For each hyper-parameter of a group: is it in its range, and which range is that?"""
        return {
            "lr": (group["lr"] >= 0, "0 or more"),
            "weight_decay": (group["weight_decay"] >= 0, "0 or more"),
            "langevin_lr": (group["langevin_lr"] >= 0, "0 or more"),
            "langevin_steps": (group["langevin_steps"] >= 1, "1 or more"),
            "langevin_momentum": (0 <= group["langevin_momentum"] < 1, "in [0, 1)"),
            "langevin_weight_decay": (group["langevin_weight_decay"] >= 0, "0 or more"),
            "gamma": (group["gamma"] >= 0, "0 or more"),
            "scoping": (group["scoping"] >= 0, "0 or more"),
            "averaging": (0 < group["averaging"] <= 1, "in (0, 1]"),
            "noise": (group["noise"] >= 0, "0 or more"),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As for any optimizer; what an older checkpoint does not know has its default."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            group.setdefault("walked", [k for k, p in enumerate(group["params"]) if self.state.get(p)])


def real_view(t: Tensor) -> Tensor:
    """The same numbers, each complex one as two real ones."""
    return torch.view_as_real(t) if t.is_complex() else t


def _together(params: list[Tensor], group: Group) -> bool:
    """Whether to step all tensors of a group at once: where the kernels' launches cost more than their work."""
    return all(p.is_cuda for p in params) if group["foreach"] is None else group["foreach"]
