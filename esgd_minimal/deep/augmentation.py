"""The standard augmentation of CIFAR-10, on the device that the images are on: pad, crop, flip."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

PADDING = 4  # pixels on every side


def crops(rng: np.random.Generator, n: int) -> np.ndarray:
    """For each of n images the row and the column where its crop begins, and whether it is mirrored: (n, 3)."""
    return np.column_stack([rng.integers(2 * PADDING + 1, size=(n, 2)), rng.integers(2, size=n)])


def crop_and_flip(images: Tensor, crops: Tensor) -> Tensor:
    """Each image (n, channels, height, width) with a border of zeros, cut to its size again, perhaps mirrored.

    One gather for all of them, without a loop and without waiting for the device. The memory format is kept.
    """
    n, _, height, width = images.shape
    rows = crops[:, :1] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    columns = crops[:, 1:2] + torch.where(crops[:, 2:] == 1, width - 1 - columns, columns)
    padded = pad(images, [PADDING] * 4).permute(0, 2, 3, 1)
    which = torch.arange(n, device=images.device)
    return padded[which[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
