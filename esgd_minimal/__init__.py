"""Entropy-SGD, from the Gibbs measure to deep networks: the package of the book *Wide Valleys*.

`esgd_minimal.toy` is the NumPy reference in two dimensions, exact by quadrature.
`esgd_minimal.deep` is PyTorch; nothing else here imports torch.
"""

__version__ = "0.1.0"
