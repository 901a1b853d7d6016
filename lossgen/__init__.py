"""lossgen discovers loss functions for GANs and hands them over as PyTorch source code."""

__version__ = "0.1.0"
