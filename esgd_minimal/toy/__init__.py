"""Entropy-SGD in one and two dimensions, with NumPy and autograd, beside its exact value.

Points are arrays of shape (d, n): one column a point. Energies map (d, …) to (…) and broadcast.
Randomness comes in as an argument. This package never imports torch.
"""
