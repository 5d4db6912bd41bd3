"""Text drawn from a network that predicts the next token, at a temperature."""

import torch
from torch import Tensor, nn


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """The probabilities softmax(logits / T), along the last axis.

    They are the Gibbs measure at β = 1/T of the energy −log p, with p the network's own probabilities: at T = 1 it
    is p itself, and as T → 0 it goes to the likeliest token.

    Raises:
        ValueError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"A temperature is above 0; got {temperature}.")
    return torch.softmax(logits.double() / temperature, dim=-1)


@torch.no_grad()
def go_on(
    network: nn.Module, start: Tensor, length: int, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    """What the network writes after the tokens `start`, (time, n), read from a state of zero: (length, n).

    Each token is drawn at the temperature, given all before it, and is the next input. The network is left in the
    mode in which it is found; a normalization of batches, or dropout, wants it in eval mode.

    Raises:
        ValueError: the start has no token, or the temperature is not above 0.
    """
    if len(start) == 0:
        raise ValueError("There is nothing to go on from: give one token or more.")
    written = []
    logits, state = network(start)
    for _ in range(length):
        p = tempered(logits[-1], temperature)
        written.append(torch.multinomial(p, 1, generator=generator).T)
        logits, state = network(written[-1], state)
    return torch.cat(written) if written else start[:0]
