"""A small convolutional classifier, trained to tell the classes apart and then read for its penultimate layer.

It is the feature extractor of FD[classifier]. The same network with random weights is that of FD[random].
"""

import torch
from torch import Tensor, nn

FEATURES = 64  # dimension of the penultimate layer


class Classifier(nn.Module):
    """Images (N, channels, size, size) in [-1, 1] → class scores (N, classes).

    `features` gives the penultimate layer, (N, 64). It ends in a BatchNorm without gain or shift: in evaluation
    mode each feature has about zero mean and unit variance over the training images, so that a Fréchet distance is
    in units of that variance, and every feature counts alike.
    """

    def __init__(self, size: int, channels: int, classes: int) -> None:
        super().__init__()
        width, side = 16, size
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        while side > 4:
            wider = min(2 * width, 64)
            layers += [nn.Conv2d(width, wider, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wider), nn.ReLU()]
            width, side = wider, (side + 1) // 2
        self.embed = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(width * side * side, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES, affine=False),
        )  # fmt: skip
        self.head = nn.Sequential(nn.ReLU(), nn.Linear(FEATURES, classes))

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.embed(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.head(self.features(images))
        return scores


def initialise(net: Classifier, generator: torch.Generator) -> Classifier:
    """Fill a classifier from the meta device with He's initial weights (He et al. 2015), on the CPU, and return it."""
    net.to_empty(device="cpu")
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.reset_parameters()  # draws nothing: gains one, shifts zero, statistics of N(0, 1)
            elif isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
    return net
