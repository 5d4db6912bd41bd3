"""What the paper does to images before a network sees them."""

import os
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

CHUNK = 4096  # images at a time in double precision, which would need too much memory for all


def scale_mnist(pixels: Tensor) -> Tensor:
    """(x − 126) / 126, as in the code released in Lua: bytes to floats from −1 to 1.02."""
    return (pixels.float() - 126) / 126


def normalize_contrast(images: Tensor, smallest: float = 1e-8) -> Tensor:
    """Global contrast normalization (§5.3): each image, (n, …), minus its mean, over its standard deviation.

    The deviation divides by the number of pixels less one. An image of one color, whose deviation is below
    `smallest`, becomes zero.
    """

    def normalized(part: Tensor) -> Tensor:
        flat = part.flatten(1).double()
        flat = flat - flat.mean(dim=1, keepdim=True)
        deviation = flat.norm(dim=1, keepdim=True) / (flat.shape[1] - 1) ** 0.5
        return (flat / torch.where(deviation < smallest, 1.0, deviation)).view_as(part).float()

    return torch.cat([normalized(part) for part in images.split(CHUNK)])


class Whitening(NamedTuple):
    """x → W (x − m), with W symmetric: the whitening that changes the images least ("ZCA")."""

    mean: Tensor  # (pixels,), double
    matrix: Tensor  # (pixels, pixels), double


def whitening(images: Tensor, regularizer: float = 1e-5) -> Whitening:
    """ZCA, learned from the training images (n, …): W = U diag(1 / (√λ + r)) Uᵀ, from their covariance U diag(λ) Uᵀ.

    The regularizer r is added to the standard deviations √λ, as in the released code, not to the variances, so
    that the whitened covariance has the eigenvalues λ / (√λ + r)². One symmetric eigendecomposition, in double
    precision.

    Raises:
        ValueError: fewer than two images, or a value that is not finite.
    """
    if len(images) < 2 or not images.isfinite().all():
        raise ValueError(f"Whitening is learned from two or more finite images; got {len(images)}.")
    parts = images.flatten(1).split(CHUNK)
    mean = torch.stack([part.double().sum(dim=0) for part in parts]).sum(dim=0) / len(images)
    covariance = torch.zeros(len(mean), len(mean), dtype=mean.dtype, device=mean.device)
    for part in parts:
        centred = part.double() - mean
        covariance.addmm_(centred.T, centred, alpha=1 / (len(images) - 1))
    variances, directions = torch.linalg.eigh(covariance)
    deviations = variances.clamp(min=0).sqrt()  # rounding can leave a zero slightly negative
    return Whitening(mean, (directions / (deviations + regularizer)) @ directions.T)


def whiten(images: Tensor, whitening: Whitening) -> Tensor:
    """The images (n, …), training or test, whitened by what the training images taught, in the images' precision."""
    mean, matrix = (tensor.to(images.dtype) for tensor in whitening)
    return ((images.flatten(1) - mean) @ matrix).view_as(images)


def kept_whitening(file: Path, images: Tensor) -> Whitening:
    """The whitening in a file, if one is there and can be read; else the one that the images teach, kept there."""
    try:
        return Whitening(*torch.load(file, weights_only=True))
    except Exception:  # there is none yet, or a broken one: either way it is learned
        learned = whitening(images)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    torch.save(tuple(learned), part)
    os.replace(part, file)
    return learned
