"""Keeps torch to a part of a graphics card's memory, so that a voice leaves the rest to others."""

from typing import Any, Protocol

from antiphon_proto.errors import StartupError

MIB = 1 << 20
CONTEXT_MIB = 500
"""What a process takes of a card before it holds any tensor, which torch does not count; assumed,
it differs by card and driver."""


class Cuda(Protocol):
    """What is used of `torch.cuda`."""

    def get_device_properties(self, device: int) -> Any:
        """Tell of a card; `total_memory` is in bytes."""

    def set_per_process_memory_fraction(self, fraction: float) -> None:
        """Have allocations fail beyond this share of the card."""


def limit(cuda: Cuda, limit_mib: int) -> None:
    """Let this process take no more of its card. Raises StartupError when that is too little."""
    tensors_mib = limit_mib - CONTEXT_MIB
    if tensors_mib <= 0:
        raise StartupError(
            f"gpu_memory_mib is {limit_mib}, and a process on a card takes about {CONTEXT_MIB} "
            "before it has loaded anything; set it to what the model needs and as much more"
        )
    total_bytes = cuda.get_device_properties(0).total_memory
    cuda.set_per_process_memory_fraction(min(1.0, tensors_mib * MIB / total_bytes))
