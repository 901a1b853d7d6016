"""Ensembles of GANs (Tronchin et al. 2026, arXiv 2503.24258): a pool of models, how they overlap, and which to take."""
