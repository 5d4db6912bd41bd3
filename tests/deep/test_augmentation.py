"""Cropping and mirroring against the same by hand, image by image."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.functional import pad

from esgd_minimal.deep import tasks
from esgd_minimal.deep.augmentation import PADDING, crop_and_flip, crops
from esgd_minimal.deep.datasets import Images


def by_hand(images, crops):
    padded = pad(images, [PADDING] * 4)
    height, width = images.shape[2:]
    cut = [image[:, r : r + height, c : c + width] for image, (r, c, _) in zip(padded, crops, strict=True)]
    return torch.stack([x.flip(-1) if mirrored else x for x, mirrored in zip(cut, crops[:, 2], strict=True)])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_gather_is_the_loop(layout):
    images = torch.randn(200, 3, 12, 10).contiguous(memory_format=layout)
    drawn = torch.from_numpy(crops(np.random.default_rng(0), 200))
    found = crop_and_flip(images, drawn)
    assert torch.equal(found, by_hand(images, drawn))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_the_middle_is_the_image_itself():
    images = torch.randn(5, 3, 8, 8)
    middle = torch.tensor([[PADDING, PADDING, 0]] * 5)
    assert torch.equal(crop_and_flip(images, middle), images)
    assert torch.equal(crop_and_flip(images, middle + torch.tensor([0, 0, 1])), images.flip(-1))


def test_every_crop_is_equally_likely():
    """Each of 9, 9 and 2 values: chi-square, three tests with a false-alarm rate of 1e-6 each."""
    drawn = crops(np.random.default_rng(1), 20_000)
    for column, values in zip(drawn.T, (9, 9, 2), strict=True):
        assert stats.chisquare(np.bincount(column, minlength=values)).pvalue > 1e-6


def test_a_step_cuts_its_own_images_and_scores_see_none_of_it():
    train = Images(torch.randn(200, 3, 8, 8), torch.arange(200) % 10)
    plain, augmented = (
        tasks.Classification(train, train, 16, seed=0, device=torch.device("cpu"), augment=a) for a in (False, True)
    )
    seen = {}

    def spy(name):
        def network(images):
            seen[name] = images
            return torch.zeros(len(images), 10)

        return network

    for name, task in (("plain", plain), ("augmented", augmented)):
        task.loss(spy(name), 25)
    drawn = augmented.of_pass(2)[1][25 % 11 * 16 :][:16]
    assert torch.equal(seen["augmented"], by_hand(seen["plain"], drawn))
    augmented.score(spy("scored"), "valid", everything=True)
    assert torch.equal(seen["scored"], augmented.parts["valid"].pixels)
