"""Other people's optimizers, as the experiments compare them: both on top of SGD."""

from typing import Any

import torch
from pytorch_optimizer.optimizer import SAM, Lookahead


def lookahead(params: Any, k: int = 5, alpha: float = 0.5, **settings: Any) -> Lookahead:
    """k steps of SGD, then back to the fraction `alpha` of the way (Zhang et al., 2019)."""
    return Lookahead(torch.optim.SGD(params, **settings), k=k, alpha=alpha)


def sam(params: Any, rho: float = 0.05, **settings: Any) -> SAM:
    """SGD with the gradient of a point `rho` uphill (Foret et al., 2021). A step takes two gradients."""
    return SAM(params, torch.optim.SGD, rho=rho, **settings)
