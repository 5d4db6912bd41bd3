"""Noise from an array in place of a generator: what locks the optimizers to the NumPy reference."""

import torch


class FromDraws:
    """To be mixed into an optimizer of the family: its noise is read from `draws`, one tensor after the other."""

    def __init__(self, params, draws, **settings):
        super().__init__(params, **settings)
        self.stream = iter(torch.as_tensor(draws))

    def _draw(self, like, generator):
        return next(self.stream)

    def _draws(self, like, generator):
        return [next(self.stream) for _ in like]
