"""Small batches on a GPU: the network recorded once for a number of tiles, and repeated with one launch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from LungNoduleSegLib.inference.engines.precision import moved

SIZES = (1, 2, 3, 4, 6, 8, 12, 16)
"""Tiles of a recorded call; a batch is filled up to the next one, which adds a third at most. In larger batches the
GPU computes longer than launching takes."""

WARM_UP = 3
"""Calls before recording: they load libraries, choose algorithms and make workspaces, none of which may be recorded."""

PATIENCE = 3
"""Plain calls of a size before it is recorded, which takes as long as several of them: a single click does without."""

_log = logging.getLogger(__name__)

Compute = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Recorded:
    """A call that can be repeated: fill `tiles`, `replay()`, read `found`, which the next one overwrites."""

    tiles: Tensor
    found: Tensor
    replay: Callable[[], None]


def record(compute: Compute, tiles: Tensor) -> Recorded:
    """Record a call as a CUDA graph.

    Parameters
    ----------
    tiles
        Contiguous or channels last, on the GPU; becomes the input of every replay.
    """
    device = tiles.device
    # The outer context of the current stream puts it back: torch leaves the stream of a failed recording current.
    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.current_stream(device)):
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                compute(tiles)
        torch.cuda.current_stream(device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # "thread_local": what other threads allocate meanwhile neither fails nor spoils the recording.
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            found = compute(tiles)
    return Recorded(tiles, found, graph.replay)


class Graphs:
    """Computes as the function given does, small batches by repeating recorded calls.

    Each recorded call is compared with the plain one once. Whatever goes wrong (recording, replay, memory, another
    result), the plain function computes from then on, and a warning is logged.

    Parameters
    ----------
    compute
        Tiles (n, slices, h, w) to probabilities (n, h, w), float32 on one device.
    probe
        Plausible tiles (m, slices, h, w) there, to compare with; only tiles of their size are recorded for.
    tolerance
        Most that 999 of 1,000 probabilities may differ by.
    recorder
        Records a call; another one for tests.
    patience
        Plain calls of a size before it is recorded.
    """

    def __init__(
        self,
        compute: Compute,
        probe: Tensor,
        tolerance: float,
        recorder: Callable[[Compute, Tensor], Recorded] = record,
        patience: int = PATIENCE,
    ):
        self._compute, self._probe, self._tolerance, self._record = compute, probe, tolerance, recorder
        self._recorded: dict[int, Recorded] = {}
        self._left = dict.fromkeys(SIZES, patience)
        self.given_up = ""
        """Why the plain function computes everything; "" while it does not."""

    def __call__(self, tiles: Tensor) -> Tensor:
        """Probabilities (n, h, w) of tiles (n, slices, h, w); the next call may overwrite them."""
        size = next((size for size in SIZES if size >= len(tiles)), None)
        if size is None or self.given_up or tiles.shape[1:] != self._probe.shape[1:]:
            return self._compute(tiles)
        if self._left[size]:
            self._left[size] -= 1
            return self._compute(tiles)
        try:
            if size not in self._recorded:
                self._recorded[size] = self._checked(size)
            return _repeated(self._recorded[size], tiles)
        except Exception as error:  # a driver raises many kinds, and none of them is a reason to fail
            self.given_up = f"{type(error).__name__}: {error}"
            self.clear()
            _log.warning("The network is computed without CUDA graphs from here on (%s)", self.given_up)
        return self._compute(tiles)

    def clear(self) -> None:
        """Give the memory of all recorded calls back; they are recorded anew when needed."""
        self._recorded.clear()

    def _checked(self, size: int) -> Recorded:
        # Recorded with other tiles than it is compared on: a result that does not follow its input is found.
        blank = torch.zeros((size, *self._probe.shape[1:]), device=self._probe.device)
        recorded = self._record(self._compute, blank.to(memory_format=torch.channels_last))
        tiles = self._probe.repeat(-(-size // len(self._probe)), 1, 1, 1)[:size]
        expected = self._compute(tiles)
        difference = moved(_repeated(recorded, tiles), expected)
        if not difference <= self._tolerance:  # NaN is none either
            raise RuntimeError(f"the graph of {size} tiles moves probabilities by {difference:.3g}")
        return recorded


def _repeated(recorded: Recorded, tiles: Tensor) -> Tensor:
    recorded.tiles[: len(tiles)].copy_(tiles)
    recorded.tiles[len(tiles) :].zero_()  # what filled it up before is no matter, but must not depend on the past
    recorded.replay()
    return recorded.found[: len(tiles)]
