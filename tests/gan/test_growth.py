"""When networks grow: phases by the count of images, whatever the batch."""

from hypothesis import given
from hypothesis import strategies as st

from lossgen.gan.growth import Growth
from lossgen.gan.nets.progressive import Grown


def test_the_edges_of_the_phases() -> None:
    growth = Growth(doublings=2, fade=100, stable=50)
    at = {images: tuple(growth.at(images)) for images in (0, 49, 50, 75, 149, 150, 199, 200, 250, 299, 300, 10**9)}
    assert at == {
        0: (0, 1.0), 49: (0, 1.0),  # 4 pixels alone
        50: (1, 0.0), 75: (1, 0.25), 149: (1, 0.99),  # 8 fading in, from 0 on
        150: (1, 1.0), 199: (1, 1.0),
        200: (2, 0.0), 250: (2, 0.5), 299: (2, 0.99),
        300: (2, 1.0), 10**9: (2, 1.0),
    }  # fmt: skip
    assert growth.complete == 300
    assert [growth.began(doublings) for doublings in (0, 1, 2)] == [0, 50, 200]
    assert all(growth.at(growth.began(doublings)).doublings == doublings for doublings in (0, 1, 2))
    phases = [(growth.at(end - 1).phase, end) for end in growth.ends()]
    assert phases == [("4", 50), ("8 fading in", 150), ("8", 200), ("16 fading in", 300)]


def test_networks_of_one_side_do_not_grow() -> None:
    assert Growth(0, 10, 10).at(10**6) == Grown(0) and Growth(0, 10, 10).complete == 0


@given(st.integers(0, 4), st.integers(1, 500), st.integers(0, 500), st.integers(0, 6000))
def test_growth_never_goes_back(doublings: int, fade: int, stable: int, images: int) -> None:
    growth = Growth(doublings, fade, stable)
    now, then = growth.at(images), growth.at(images + 1)
    assert 0 <= now.doublings <= doublings and 0.0 <= now.alpha <= 1.0
    assert now.doublings <= then.doublings
    if now.doublings == then.doublings:
        assert now.alpha <= then.alpha <= now.alpha + 1 / fade + 1e-12
    else:
        assert then.doublings == now.doublings + 1
    assert (growth.at(images) == Grown(doublings)) == (images >= growth.complete)
