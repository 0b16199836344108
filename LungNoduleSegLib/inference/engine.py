"""The engine: tiles of HU in, probabilities out, on any device, whatever memory there is."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.errors import LungNoduleSegError, WeightsError
from LungNoduleSegLib.inference.despike import normalise_without_spikes
from LungNoduleSegLib.inference.normalise import Normalisation, normalise

BATCH = {"cpu": 16, "cuda": 64, "mps": 16}
"""Tiles a call by kind of device; on two CPU cores nothing was gained beyond 16."""


class Engine(Protocol):
    """What everything above this file needs of a network."""

    input_slices: int
    tile_px: int

    @property
    def batch_size(self) -> int:
        """Tiles that are best given at once; more are split."""
        ...

    def predict(self, tiles: NDArray, *, min_range: float | None = None) -> NDArray[np.float32]:
        """Probabilities (n, h, w) float32 of the middle slices of tiles (n, input_slices, h, w) in HU."""
        ...


def out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch or Python means that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    phrases = ("out of memory", "can't allocate memory", "cannot allocate memory", "alloc_failed")
    return isinstance(error, RuntimeError) and any(phrase in text for phrase in phrases)


class TorchEngine:
    """A network of the family, ready to predict.

    Parameters
    ----------
    network
        Any ``LungNoduleSegLib.networks`` member with its weights; it is copied, folded and put in evaluation mode.
    normalisation
        As it was trained with.
    device
        "auto", "cpu", "cuda", "cuda:N", "mps"; tested by a real operation.
    precision
        "auto", "float32", "bfloat16", "float16"; see :func:`~LungNoduleSegLib.inference.precision.choose_precision`.
    batch_size
        Tiles a call; halves by itself when memory runs out, and at 1 the engine moves to the CPU.
    threads
        Threads of torch on the CPU, for the whole process; None leaves torch's choice.

    Notes
    -----
    In bfloat16 999 of 1,000 probabilities stay within 0.03 of float32 on the tiles tried while loading; the choice and
    its reason are in :attr:`description`. A batch's result does not depend on what else is in the batch beyond float
    rounding. Single voxels that stand out from all their neighbours are removed before normalising.
    """

    def __init__(
        self,
        network: Any,
        normalisation: Normalisation | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ):
        import torch

        from LungNoduleSegLib.inference.device import choose_device
        from LungNoduleSegLib.inference.fold import folded

        if threads is not None:
            torch.set_num_threads(threads)
        self.input_slices: int = network.config.input_slices
        self.tile_px: int = network.config.input_px
        self.normalisation = normalisation or Normalisation()
        self._device, warnings = choose_device(device)
        self._warnings = list(warnings)
        self._precision_wanted = precision
        self._network = folded(network)
        self.batch_size = int(batch_size or BATCH[self._device.type])
        self._lock = threading.Lock()
        self._place()

    def _place(self) -> None:
        import torch

        from LungNoduleSegLib.inference.precision import choose_precision

        self._network = self._network.to(self._device, memory_format=torch.channels_last)
        self._precision = choose_precision(self._network, self._probe(), self._precision_wanted)

    def _probe(self) -> Any:
        """A few plausible tiles: dark lung with bright structures of several sizes."""
        import torch

        rng = np.random.default_rng(0)
        px = self.tile_px
        tiles = rng.normal(-850, 40, (4, self.input_slices, px, px)).astype(np.float32)
        y, x = np.mgrid[:px, :px]
        for n, radius in enumerate((px * 0.03, px * 0.06, px * 0.12, px * 0.3)):
            tiles[n][:, (y - px / 2) ** 2 + (x - px / 2) ** 2 < radius**2] = 30
            tiles[n][:, :, : 8 * n] = 40
        return torch.from_numpy(normalise(tiles, self.normalisation)).to(
            self._device, memory_format=torch.channels_last
        )

    @property
    def device(self) -> str:
        """Where it runs now, e.g. "cpu" or "cuda"."""
        return str(self._device)

    @property
    def precision(self) -> str:
        """Number format of the arithmetic: "float32", "bfloat16" or "float16"."""
        return self._precision.name

    @property
    def description(self) -> str:
        """Device, number format and why, threads: one line for a log."""
        import torch

        threads = f", {torch.get_num_threads()} threads" if self._device.type == "cpu" else ""
        return f"{self.device}, {self.precision} ({self._precision.reason}){threads}, batches of {self.batch_size}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went otherwise than asked: a GPU that does not work, memory that ran out."""
        return tuple(self._warnings)

    def predict(self, tiles: NDArray, *, min_range: float | None = None) -> NDArray[np.float32]:
        """Probabilities of tiles.

        Parameters
        ----------
        tiles
            (n, input_slices, h, w), HU (or 8-bit values with ``min_range=1``), any real dtype.
        min_range
            Overrides the normalisation's smallest stretched range.

        Returns
        -------
        (n, h, w) float32, 0..1, of the middle slices.

        Raises
        ------
        ValueError
            For another shape.
        LungNoduleSegError
            If memory runs out even for one tile on the CPU.
        """
        tiles = np.asarray(tiles)
        if tiles.ndim != 4 or tiles.shape[1] != self.input_slices:
            raise ValueError(
                f"Expected argument `tiles` to have shape (n, {self.input_slices}, h, w), got {tiles.shape}"
            )
        out = np.empty((tiles.shape[0], *tiles.shape[2:]), np.float32)
        done = 0
        with self._lock:
            while done < len(tiles):
                part = tiles[done : done + self.batch_size]
                try:
                    x = normalise_without_spikes(part, self.normalisation, min_range=min_range)
                    out[done : done + len(part)] = self._forward(x)
                except (RuntimeError, MemoryError) as error:
                    if not out_of_memory(error):
                        raise
                    self._make_room(error)
                    continue
                done += len(part)
        return out

    def _forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode(), self._precision.context(self._device):
            batch = torch.from_numpy(np.ascontiguousarray(x))
            batch = batch.to(self._device, memory_format=torch.channels_last)
            return self._network(batch)[:, 0].float().sigmoid().cpu().numpy()

    def _make_room(self, error: BaseException) -> None:
        import torch

        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if self.batch_size > 1:
            self.batch_size //= 2
            self._warnings.append(f"Memory ran out on {self.device}; going on with batches of {self.batch_size}.")
        elif self._device.type != "cpu":
            self._warnings.append(f"Memory ran out on {self.device} for a single tile; going on with the CPU.")
            self._device = torch.device("cpu")
            self.batch_size = BATCH["cpu"]
            self._place()
        else:
            raise LungNoduleSegError(f"memory ran out on the CPU for a single tile ({error})") from error


def load_weights(network: Any, state: dict[str, NDArray]) -> None:
    """Copy arrays into a network, strictly; WeightsError names what does not fit."""
    import torch

    expected = network.state_dict()
    # Batch counters are of no use after training and may be left out of a file.
    missing = [n for n in expected if n not in state and not n.endswith("num_batches_tracked")]
    unknown = [n for n in state if n not in expected]
    shapes = [
        f"{n} {tuple(state[n].shape)} instead of {tuple(expected[n].shape)}"
        for n in state
        if n in expected and tuple(state[n].shape) != tuple(expected[n].shape)
    ]
    findings = [
        f"{what} {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"
        for what, names in (("lacks", missing), ("holds unknown", unknown), ("holds", shapes))
        if names
    ]
    if findings:
        raise WeightsError(
            f"the weights do not fit the architecture in their card: the file {'; it '.join(findings)}",
            remedy="Use a weight file together with the card that was written with it.",
        )
    filled = {n: torch.from_numpy(np.array(a)).to(expected[n].dtype) for n, a in state.items()}
    network.load_state_dict({**{n: t for n, t in expected.items() if n not in filled}, **filled}, strict=True)
