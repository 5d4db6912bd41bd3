"""The paper's text and its two released programs as arguments of `EntropySGD`.

    optimizer = EntropySGD(model.parameters(), lr=1.0, **presets.released_lua(gamma=0.03))

Each function takes the same numbers, as its version means them, and translates: the programs, by what differs from
the text. Of the algorithm, only η is left to the optimizer's default. `toy.released` has the same three in NumPy,
read in §4.2 and 4.3 of the paper, entropyoptim.lua and python/optim.py (ucla-vision/entropy-sgd). Both programs
take one more gradient per outer step, at x, before the chain; Lua throws it away, and PyTorch uses only the first of
all. Here none is taken: the chain's own first gradient, also at x, starts the momentum.
"""

from math import sqrt
from typing import Any


def paper(
    *,
    gamma: float = 1e-4,
    scoping: float = 1e-3,
    noise: float = 1e-4,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    langevin_lr: float = 0.1,
    langevin_steps: int = 20,
) -> dict[str, Any]:
    """The text: α = 0.75, noise √η′ ε, Nesterov's momentum on everything and in both loops.

    Weight decay, as a part of the loss, is in the chain.
    """
    return {
        "gamma": gamma,
        "scoping": scoping,
        "noise": noise,
        "averaging": 0.75,
        "momentum": momentum,
        "weight_decay": 0.0,
        "langevin_lr": langevin_lr,
        "langevin_steps": langevin_steps,
        "langevin_momentum": momentum,
        "langevin_weight_decay": weight_decay,
        "nesterov": True,
        "momentum_on": "all",
        "gradient_starts_momentum": False,
    }


def released_lua(**numbers: Any) -> dict[str, Any]:
    """The Lua program, which made the paper's results: μ ← 0.75 μ + 0.25 x′ and noise √(2 η′) ε.

    Momentum is in the chain only, and only on the loss; γ is one outer step ahead. The numbers are `paper`'s.
    """
    text = paper(**numbers)
    return text | {
        "gamma": text["gamma"] * (1 + text["scoping"]),
        "noise": sqrt(2) * text["noise"],
        "averaging": 0.25,
        "momentum": 0.0,
        "momentum_on": "loss",
    }


def released_pytorch(**numbers: Any) -> dict[str, Any]:
    """The PyTorch program: α and noise as in Lua's, momentum and weight decay in both loops.

    The outer momentum starts from a gradient of the loss. Scoping never acts: its counter stays at 0. The numbers are
    `paper`'s.
    """
    text = paper(**numbers)
    return text | {
        "scoping": 0.0,
        "noise": sqrt(2) * text["noise"],
        "averaging": 0.25,
        "weight_decay": text["langevin_weight_decay"],
        "momentum_on": "loss and decay",
        "gradient_starts_momentum": True,
    }
