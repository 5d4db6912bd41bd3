"""The checker of the chapter on the sampler says yes to what is right, and gives the hint that fits what is wrong."""

import numpy as np
import pytest

from esgd_minimal.exercises.what_the_sampler_samples import check_noise


@pytest.mark.parametrize(
    ("noise", "answer"),
    [
        (np.sqrt(0.55), "Yes."),  # 1 = ε² + 0.1 · 9 / 2
        (np.sqrt(1.1), "text's line 5"),  # 1 = ε² / 2 + 0.1 · 9 / 2
        (1.0, "if gradients were exact"),
        (np.sqrt(2), "text's ε for exact gradients"),
        (0.0, "Too cold: at this ε the chain's temperature is 0.45"),
        (1e-4, "Too cold"),
        (0.8, "Too hot: at this ε the chain's temperature is 1.09"),
        (-1.0, "not negative"),
        (np.nan, "not negative"),
    ],
)
def test_noise(noise, answer):
    assert answer in check_noise(noise)
