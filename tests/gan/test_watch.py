"""What is watched: closed forms, and members that have gone alike."""

import pytest
import torch

from lossgen.gan.watch import COLLAPSED, Watch, diversity, separation


def test_separation_is_the_area_under_the_roc() -> None:
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randint(0, 9, (3, 40), generator=generator).float() + shift for shift in (1.0, 0.0))
    labels = torch.cat([torch.ones(40), torch.zeros(40)])
    expected = [roc_auc_score(labels, torch.cat([r, f])) for r, f in zip(real, fake)]
    assert separation(real, fake).tolist() == pytest.approx(expected, abs=1e-6)


def test_separation_knows_no_scale() -> None:
    scores = torch.linspace(-1.0, 1.0, 11)
    assert separation(scores + 3.0, scores).item() == 1.0
    assert separation(scores, scores).item() == 0.5
    assert separation(1e-3 * scores, 1e-3 * scores - 1.0).item() == separation(scores + 5.0, scores).item()


def test_diversity_is_a_standard_deviation_in_grey_levels() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).repeat(50).view(100, 1, 1, 1).expand(100, 1, 4, 4)
    assert diversity(images) == pytest.approx(127.5 * (100 / 99) ** 0.5)
    assert diversity(images[::2]) == 0.0


def test_since_when_samples_are_alike_is_remembered_until_they_are_not() -> None:
    watch = Watch(2, diversity_of_data=50.0)
    scores = torch.zeros(2, 8)
    wide = torch.linspace(-0.9, 0.9, 8).view(1, 8, 1, 1, 1).expand(1, 8, 1, 4, 4)
    thin = wide * 0.01
    assert float(thin[0].std(0).mean()) * 127.5 < COLLAPSED * 50.0 < float(wide[0].std(0).mean()) * 127.5
    for step, fakes in ((50, [wide, wide]), (100, [wide, thin]), (150, [wide, thin])):
        watch.look(step, scores, scores, torch.cat(fakes))
    assert watch.thin_since == [None, 100]
    state = watch.state(1)
    watch.look(200, scores, scores, torch.cat([thin, wide]))
    assert watch.thin_since == [200, None]
    watch.restore(1, state)
    assert watch.thin_since == [200, 100]
    watch.keep([1])
    assert watch.thin_since == [100]
