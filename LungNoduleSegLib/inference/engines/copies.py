"""Tiles to the device and probabilities back: at once, or beside what a GPU computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray


class PlainCopies:
    """Copies that are done when they return; on the CPU there are none.

    Parameters
    ----------
    device
        Where the network lies.
    """

    parts = 1
    """Parts that a batch is best computed in."""

    def __init__(self, device: torch.device):
        self._device = device

    def send(self, x: NDArray[np.float32]) -> torch.Tensor:
        """Tiles (n, slices, h, w) on the device."""
        return torch.from_numpy(np.ascontiguousarray(x)).to(self._device)

    def fetch(self, found: torch.Tensor) -> Callable[[], NDArray[np.float32]]:
        """Begin to copy a result of the device; what is returned waits for it and gives the array."""
        array = found.cpu().numpy()
        return lambda: array


class CudaCopies(PlainCopies):
    """Copies through pinned memory that wait for the GPU only when a result is read.

    Tiles go on a stream of their own, so that they do not queue behind what the GPU still computes; the stream that is
    current for the calling thread computes, and waits for them. Results come back on that stream: they are copied
    before it may overwrite them, and the copy is short.
    """

    parts = 4

    def __init__(self, device: torch.device):
        super().__init__(device)
        self._stream = torch.cuda.Stream(device)

    def send(self, x: NDArray[np.float32]) -> torch.Tensor:
        host = pinned(x.shape)
        np.copyto(host.numpy(), x)
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._stream):
            # torch keeps the pinned memory from other use until a copy that it began is done.
            there = host.to(self._device, non_blocking=True)
        computing.wait_stream(self._stream)
        # It belongs to the side stream, which else might use it again before it is computed.
        there.record_stream(computing)
        return there

    def fetch(self, found: torch.Tensor) -> Callable[[], NDArray[np.float32]]:
        host = pinned(found.shape)
        host.copy_(found, non_blocking=True)
        arrived = torch.cuda.current_stream(self._device).record_event()

        def read() -> NDArray[np.float32]:
            arrived.synchronize()
            return host.numpy()

        return read


def pinned(shape: tuple[int, ...]) -> torch.Tensor:
    """Memory float32 that a GPU copies from and to by itself; torch hands it out again once it is free."""
    return torch.empty(shape, dtype=torch.float32, pin_memory=True)


def copies_for(device: torch.device) -> PlainCopies:
    """The copies that suit a device."""
    return CudaCopies(device) if device.type == "cuda" else PlainCopies(device)
