"""What the tests of graphics cards share: the card, or the reason why they are skipped."""

import pytest

from antiphon_proto import gpus

COMPUTE_TYPES = {"cuda": ("float16", "int8_float16", "float32"), "cpu": ("int8", "float32")}


@pytest.fixture(scope="session", autouse=True)
def device(request: pytest.FixtureRequest) -> str:
    """What is computed on; skips where that is a card and there is none."""
    chosen = str(request.config.getoption("--device"))
    if chosen == "cuda" and not (cards := gpus.present()).gpus:
        pytest.skip(f"no NVIDIA card: {cards.problem}; --device cpu tries these tests without")
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give `compute_type` what the device knows."""
    if "compute_type" in metafunc.fixturenames:
        device = metafunc.config.getoption("--device")
        metafunc.parametrize("compute_type", COMPUTE_TYPES[device], scope="module")
