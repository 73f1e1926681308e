"""Which language model is proposed to which machine, and what a machine has room for."""

import pytest

from antiphon_proto import larger_models, machine, models
from antiphon_proto.gpus import Gpu
from antiphon_proto.machine import Machine

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("here", "embedded", "by_ollama"),
    [
        (Machine(2, 1 * GB), None, None),
        (Machine(1, 60 * GB), None, None),
        (Machine(2, 20 * GB), "qwen2.5:1.5b", "qwen2.5:1.5b"),
        (Machine(8, 3 * GB), "qwen2.5:1.5b", "qwen2.5:1.5b"),
        (Machine(8, 12 * GB), "qwen3:4b-instruct", "qwen3:4b-instruct"),
        (Machine(16, 12 * GB), "qwen2.5:7b", "qwen2.5:7b"),
        (Machine(16, 60 * GB), "qwen2.5:7b", "qwen3:30b-instruct"),
        (Machine(4, 12 * GB, 7 * GB), "qwen2.5:1.5b", "qwen2.5:7b"),
        (Machine(4, 12 * GB, 23 * GB), "qwen2.5:1.5b", "qwen3:30b-instruct"),
        (Machine(8, 12 * GB, 3 * GB), "qwen3:4b-instruct", "qwen3:4b-instruct"),
    ],
)
def test_the_largest_that_fits_memory_and_cores_or_the_card_is_proposed(
    here: Machine, embedded: str | None, by_ollama: str | None
) -> None:
    for wanted, through_ollama in ((embedded, False), (by_ollama, True)):
        found = larger_models.fitting(here, by_ollama=through_ollama)
        assert (found and found.ollama) == wanted


def test_what_the_table_says_of_a_file_is_what_the_manifest_says() -> None:
    manifest = models.manifest()
    for model in larger_models.MODELS:
        if model.gguf:
            entry = manifest[model.gguf]
            assert (entry.bytes, entry.licence) == (model.size_bytes, model.licence)
        assert model.memory_bytes > model.size_bytes
        assert larger_models.named(model.ollama) == model
    assert larger_models.named("other") is None


def test_a_larger_embedded_model_gets_threads_that_keep_up_with_speech() -> None:
    assert larger_models.settings("smollm2-135m", 8) == ()
    assert larger_models.settings("/some/file.gguf", 8) == ()
    context = "llm.context_tokens=4096"
    for cores, threads, writing in ((1, 2, 1), (2, 2, 1), (8, 4, 4)):
        expected = (context, f"llm.threads={threads}", f"llm.generation_threads={writing}")
        assert larger_models.settings("qwen3-4b", cores) == expected


def test_memory_is_what_the_system_leaves_and_what_a_container_may_take() -> None:
    assert machine.free_bytes(16 * GB, "", "") == 16 * GB - machine.SYSTEM_BYTES
    busy = "MemTotal: 15625000 kB\nMemAvailable:    2000000 kB\n"
    assert machine.free_bytes(16 * GB, busy, "max\n") == 2_000_000 * 1024
    assert machine.free_bytes(16 * GB, "", f"{8 * GB}\n") == 8 * GB - machine.SYSTEM_BYTES
    assert machine.free_bytes(2 * GB, "", "") == 0


def test_the_card_with_the_most_free_memory_counts() -> None:
    cards = (Gpu(0, "a", "A", 8192, 8000), Gpu(1, "b", "B", 8192, 1024), Gpu(2, "c", "C", None))
    assert machine.card_bytes(cards) == 7168 * 1024 * 1024 - machine.CARD_BYTES
    assert machine.card_bytes(()) == 0


def test_this_machine_is_looked_at() -> None:
    here = machine.look(cards=False)
    assert here.cores >= 1
    assert here.memory_bytes >= 0
