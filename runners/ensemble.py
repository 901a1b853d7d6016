"""Ensembles of GANs (Tronchin et al. 2026) as a script: the command `lossgen ensemble`, for one who reads files.

    python runners/ensemble.py pneumoniamnist runs/2026-11-28/models generated.npz other-gan/ --out ensemble-out

A pool of models, or of folders of images by any GAN, is embedded; every ensemble that is looked at has an intra_d (how
well its images cover the real training images) and an inter_d (how much its members overlap); the front's point of
highest intra_d is chosen, and classifiers that learn from its images alone are held against others on real test images.
It is no fitness: there is nothing in it that `lossgen evolve` could search for.
"""

from lossgen.cli import run_command
from lossgen.cli.scoring import ensemble

if __name__ == "__main__":
    run_command(ensemble)
