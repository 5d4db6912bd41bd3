"""The paper's networks, to the layer, each with the number of weights that its sources give.

The sources are the paper's text (§5), the research code behind its experiments ("the research code"), and the two
released codes, in Lua and in PyTorch; where they differ, a docstring says whose network it is. All of them return
logits: the softmax is left to the loss. Initial weights are PyTorch's own unless a docstring says otherwise.
"""

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]  # of an LSTM: h and c, each (layers, n, hidden)


def weights(network: nn.Module) -> int:
    """How many weights are trained."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def mnistfc(dropout: float = 0.5) -> nn.Sequential:
    """784 → 1024 → 1024 → 10 as in the research code, without batch normalization: 1,863,690 weights.

    Images (n, 1, 28, 28) to logits (n, 10). Paper (§5.2): dropout 0.5 for Adam, 0.15 for Entropy-SGD.
    """
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(784, 1024), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(1024, 10),
    )


def mnistfc_batchnorm(input_dropout: float = 0.2, dropout: float = 0.5) -> nn.Sequential:
    """`mnistfc` with batch normalization and dropout on the pixels, as released in PyTorch: 1,867,786 weights.

    Images (n, 1, 28, 28) to logits (n, 10).
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Dropout(input_dropout),
        *(nn.Linear(784, 1024), nn.BatchNorm1d(1024), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(1024, 1024), nn.BatchNorm1d(1024), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(1024, 10),
    )


def lenet(dropout: float = 0.5) -> nn.Sequential:
    """LeNet with batch normalization after the pooling, as released in Lua: 131,220 weights.

    Images (n, 1, 28, 28) to logits (n, 10). Paper (§5.2): dropout 0.5 for Adam, 0.25 for Entropy-SGD. In the
    research code the batch normalization has no weights of its own, which takes away 140.
    """
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(3), nn.BatchNorm2d(20), nn.Dropout(dropout)),
        *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2), nn.BatchNorm2d(50), nn.Dropout(dropout)),
        nn.Flatten(),
        *(nn.Linear(200, 500), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(500, 10),
    )


def lenet_pytorch(dropout: float = 0.5) -> nn.Sequential:
    """LeNet with batch normalization before each ReLU, as released in PyTorch: 132,220 weights.

    Images (n, 1, 28, 28) to logits (n, 10).
    """
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d(3), nn.Dropout(dropout)),
        *(nn.Conv2d(20, 50, 5), nn.BatchNorm2d(50), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout)),
        nn.Flatten(),
        *(nn.Linear(200, 500), nn.BatchNorm1d(500), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(500, 10),
    )


def digits(dropout: float = 0.5) -> nn.Sequential:
    """64 → 128 → 128 → 10, `mnistfc` for images of 8 × 8 pixels, (n, 1, 8, 8) to logits (n, 10): 26,122 weights."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(dropout)),
        *(nn.Linear(128, 128), nn.ReLU(), nn.Dropout(dropout)),
        nn.Linear(128, 10),
    )


def small_lenet() -> nn.Sequential:
    """The LeNet whose Hessian the paper shows (§5.1), small enough for the whole matrix: 47,658 weights.

    Images (n, 1, 28, 28) to logits (n, 10).
    """
    return nn.Sequential(
        *(nn.Conv2d(1, 10, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(10, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        *(nn.Linear(320, 128), nn.ReLU()),
        nn.Linear(128, 10),
    )


def small_mnistfc() -> nn.Sequential:
    """The fully connected network whose Hessian the paper shows (§5.1): 50,890 weights.

    Images (n, 1, 28, 28) to logits (n, 10). The paper writes "one layer of 32 hidden units" and 50,890 weights;
    it takes 64 units to have as many.
    """
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


def tiny_mnistfc() -> nn.Sequential:
    """The network of the research code's Hessian script, whose default is 32 hidden units: 6,634 weights.

    Images (n, 1, 14, 14), MNIST's at half the resolution, to logits (n, 10).
    """
    return nn.Sequential(nn.Flatten(), nn.Linear(196, 32), nn.ReLU(), nn.Linear(32, 10))


def allcnn(input_dropout: float = 0.2, dropout: float = 0.5, width: int = 96) -> nn.Sequential:
    """All-CNN-C with batch normalization after every convolution, the last one too: 1,667,166 weights.

    Images (n, 3, 32, 32) to logits (n, 10), which are means of ReLUs and so never negative. The eighth convolution
    is 3 × 3 in both released codes. `width` is the channels of the first three convolutions, half the others'.
    """
    wide = 2 * width

    def block(channels: int, features: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
        convolution = nn.Conv2d(channels, features, size, stride, padding=size // 2)
        return [convolution, nn.BatchNorm2d(features), nn.ReLU()]

    return nn.Sequential(
        nn.Dropout(input_dropout),
        *(*block(3, width), *block(width, width), *block(width, width, stride=2), nn.Dropout(dropout)),
        *(*block(width, wide), *block(wide, wide), *block(wide, wide, stride=2), nn.Dropout(dropout)),
        *(*block(wide, wide), *block(wide, wide), *block(wide, 10, size=1)),
        nn.AvgPool2d(8),
        nn.Flatten(),
    )


def allcnn_quarter(input_dropout: float = 0.2, dropout: float = 0.5) -> nn.Sequential:
    """`allcnn` with a quarter of the channels, for a CPU: 105,774 weights."""
    return allcnn(input_dropout, dropout, width=24)


class PTBLSTM(nn.Module):
    """Two layers of 1,500 units for words, the "large" network of Zaremba et al. (2014): 66,034,000 weights.

    Dropout is on the connections upwards, never on those in time; all weights start uniform in ±`start`.
    """

    def __init__(self, vocabulary: int = 10_000, hidden: int = 1500, dropout: float = 0.65, start: float = 0.04):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.lstm = nn.LSTM(hidden, hidden, num_layers=2, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, vocabulary)
        for p in self.parameters():
            nn.init.uniform_(p, -start, start)

    def forward(self, words: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Words (time, n) to the logits of the word that follows each, (time, n, vocabulary), and the state after.

        Give the state to the next call to go on with the same n texts, detached where the gradient is to end;
        None starts at zero.
        """
        y, state = self.lstm(self.dropout(self.embedding(words)), state)
        return self.output(self.dropout(y)), state


def ptb_small(vocabulary: int = 10_000) -> PTBLSTM:
    """The "small" network of Zaremba et al.: 200 units, no dropout, a start in ±0.1; 4,653,200 weights."""
    return PTBLSTM(vocabulary, hidden=200, dropout=0.0, start=0.1)


class CharLSTM(nn.Module):
    """Two layers of 128 units for characters, with batch normalization after each, as in the research code.

    260,282 weights for its 87 symbols. The statistics of the batch normalization are taken over time and texts alike.
    The cells start as there: weights normal with variance 1 / (inputs + hidden), biases zero, those of the forget
    gates one.
    """

    def __init__(self, vocabulary: int = 87, embedding: int = 85, hidden: int = 128):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstms = nn.ModuleList([_remembering(nn.LSTM(inputs, hidden)) for inputs in (embedding, hidden)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(hidden), nn.BatchNorm1d(hidden)])
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, characters: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Characters (time, n) to the logits of the one that follows each, (time, n, vocabulary), and the state after.

        Give the state to the next call to go on with the same n texts, detached where the gradient is to end;
        None starts at zero.
        """
        y = self.embedding(characters)
        states = []
        for layer, (lstm, norm) in enumerate(zip(self.lstms, self.norms, strict=True)):
            y, after = lstm(y, None if state is None else (state[0][layer : layer + 1], state[1][layer : layer + 1]))
            y = norm(y.flatten(0, 1)).view_as(y)
            states.append(after)
        h, c = zip(*states, strict=True)
        return self.output(y), (torch.cat(h), torch.cat(c))


class CharTransformer(nn.Module):
    """A small causal transformer for characters, one step past the paper: 114,770 weights for 82 symbols.

    It sees the last `context` characters and nothing before them, each at its learned place, counted from the end.
    """

    def __init__(self, vocabulary: int = 82, width: int = 64, heads: int = 4, layers: int = 2, context: int = 64):
        super().__init__()
        self.context = context
        self.embedding = nn.Embedding(vocabulary, width)
        self.place = nn.Parameter(0.02 * torch.randn(context, 1, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, activation="gelu", norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(width), enable_nested_tensor=False)
        self.output = nn.Linear(width, vocabulary)

    def forward(self, characters: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Characters (time, n) to the logits of the one that follows each, (time, n, vocabulary), and the state after.

        The state is the characters that are still in sight, (place, n), twice, since an LSTM's state has two parts.

        Raises:
            ValueError: more characters than are in sight at once.
        """
        if len(characters) > self.context:
            raise ValueError(f"{len(characters)} characters do not fit in the context of {self.context}.")
        seen = characters if state is None else torch.cat([state[0], characters])[-self.context :]
        mask = nn.Transformer.generate_square_subsequent_mask(len(seen), device=seen.device)
        y = self.layers(self.embedding(seen) + self.place[-len(seen) :], mask=mask, is_causal=True)
        return self.output(y[-len(characters) :]), (seen, seen)


class Recall(nn.Module):
    """An LSTM from a start that it learns: what it remembers of a text before each of its characters.

    The state in which every text starts is 2 · hidden of the weights; nothing is carried over from text to text. The
    cell is written out, since the derivatives of PyTorch's own cannot be taken along many directions at once.
    """

    def __init__(self, vocabulary: int, hidden: int):
        super().__init__()
        self.h = nn.Parameter(0.1 * torch.randn(hidden))
        self.c = nn.Parameter(0.1 * torch.randn(hidden))
        self.from_character = nn.Embedding(vocabulary, 4 * hidden)
        self.from_hidden = nn.Linear(hidden, 4 * hidden)
        nn.init.uniform_(self.from_character.weight, -(hidden**-0.5), hidden**-0.5)  # as PyTorch does in an LSTM

    def forward(self, characters: Tensor) -> Tensor:
        """Characters (n, time) to h before each of them, (n, hidden, time)."""
        read = self.from_character(characters[:, :-1])
        h, c = (start.expand(len(characters), -1) for start in (self.h, self.c))
        before = [h]
        for t in range(read.shape[1]):
            i, f, g, o = (read[:, t] + self.from_hidden(h)).chunk(4, dim=1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            before.append(h)
        return torch.stack(before, dim=2)


def small_char_lstm(vocabulary: int = 96, hidden: int = 48) -> nn.Sequential:
    """One layer of 48 units on 96 symbols, whose Hessian the paper shows (§5.1): 32,640 weights.

    Characters (n, time) to the logits of each from those before it, (n, vocabulary, time). The research code's cell
    is c ← o f + i g, which forgets the c before it, so that half of the 96 weights of the start do nothing there.
    This one is the LSTM that the paper names: c ← f c + i g.
    """
    return nn.Sequential(Recall(vocabulary, hidden), nn.Conv1d(hidden, vocabulary, 1))


def _one_bias(lstm: nn.LSTM) -> nn.LSTM:
    """PyTorch adds two biases in every gate, of which one is enough: the second is held at zero."""
    for name, p in lstm.named_parameters():
        if name.startswith("bias_hh"):
            nn.init.zeros_(p).requires_grad_(False)
    return lstm


def _remembering(lstm: nn.LSTM) -> nn.LSTM:
    """The start of `CharLSTM`'s cells: a forget gate that is open at first."""
    hidden = lstm.hidden_size
    from_inputs, from_hidden, bias, _ = lstm.all_weights[0]
    for weight in (from_inputs, from_hidden):
        nn.init.normal_(weight, std=(lstm.input_size + hidden) ** -0.5)
    nn.init.zeros_(bias)
    nn.init.ones_(bias[hidden : 2 * hidden])  # PyTorch's order of the gates: i, f, g, o
    return _one_bias(lstm)
