"""What runners are written with: networks, the adversarial loop, data, feature extractors, and metrics."""
