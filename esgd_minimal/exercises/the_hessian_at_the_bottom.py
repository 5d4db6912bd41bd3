"""Checker for the chapter on the Hessian at the bottom."""

import numpy as np
import torch
from torch.nn import functional as F


def check_negative(answer: int) -> str:
    """At most how many negative eigenvalues has the Hessian of 784 → 64 → 10 with cross-entropy?"""
    if not (np.isfinite(answer) and answer == int(answer) and answer >= 0):
        return "A number of eigenvalues is a whole number, and not negative."
    per_unit = _rank_of_a_residual(centered=True)
    if answer == 64 * per_unit:
        return f"Yes. {per_unit} for each unit: a residual of ten entries that add up to zero."
    if answer == 64 * _rank_of_a_residual(centered=False):
        return "Nearly. What do the ten entries of p − y add up to, and what does that do to the rank of B_j?"
    if answer == 2 * 64 * per_unit:
        return "This is the rank of R. Its eigenvalues come in pairs ±σ: how many of a pair are negative?"
    if answer == per_unit:
        return "This is right for one hidden unit; there are 64."
    return (
        "Ask for the rank of one B_j: of how many outer products of residuals is it made, and what limits their span?"
    )


def _rank_of_a_residual(centered: bool) -> int:
    """The rank of B for many random inputs: with p − y of a softmax, or with the residual of a squared error."""
    generator = torch.Generator().manual_seed(0)
    x, z = torch.rand(200, 785, generator=generator).double(), torch.randn(200, 10, generator=generator).double()
    y = F.one_hot(torch.randint(10, (200,), generator=generator), 10)
    off = (z.softmax(dim=1) if centered else z) - y
    return int(torch.linalg.matrix_rank(x.T @ off))
