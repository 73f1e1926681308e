"""A voice on a shared card is kept to its part of the memory."""

from types import SimpleNamespace

import pytest

from antiphon_proto.errors import StartupError
from antiphon_workers.tts import card_memory
from antiphon_workers.tts.card_memory import CONTEXT_MIB, MIB


class Card:
    """Stands in for `torch.cuda` on a card of 16 GiB."""

    fraction = 0.0

    def get_device_properties(self, device: int) -> SimpleNamespace:
        assert device == 0, "the only one that CUDA_VISIBLE_DEVICES leaves"
        return SimpleNamespace(total_memory=16_384 * MIB)

    def set_per_process_memory_fraction(self, fraction: float) -> None:
        self.fraction = fraction


def test_tensors_get_what_the_process_leaves_of_its_part() -> None:
    card = Card()
    card_memory.limit(card, 4_096 + CONTEXT_MIB)
    assert card.fraction == 0.25


def test_more_than_the_card_has_is_all_of_it() -> None:
    card = Card()
    card_memory.limit(card, 80_000)
    assert card.fraction == 1.0


def test_a_part_that_holds_nothing_is_refused() -> None:
    with pytest.raises(StartupError, match=r"gpu_memory_mib is 400.*set it to what the model"):
        card_memory.limit(Card(), 400)
