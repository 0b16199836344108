"""The engine: tiles of HU in, probabilities out, on any device, whatever memory there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.inference.batches import BATCH, BatchEngine
from LungNoduleSegLib.inference.normalise import Normalisation, normalise


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


class TorchEngine(BatchEngine):
    """A network of the family, computed by PyTorch: on a GPU, or on the CPU.

    Parameters
    ----------
    network
        Any ``LungNoduleSegLib.networks`` member with its weights; it is copied, folded and put in evaluation mode. One
        that is folded already is taken as it is.
    normalisation
        As it was trained with.
    device
        "auto", "cpu", "cuda", "cuda:N", "mps"; tested by a real operation.
    precision
        "auto", "float32", "bfloat16", "float16"; see :func:`~LungNoduleSegLib.inference.precision.choose_precision`.
    batch_size
        Tiles a call, of which a GPU computes a quarter at once; halves by itself when memory runs out, and at a single
        tile the engine moves to the CPU.
    threads
        Threads of torch on the CPU, for the whole process; None leaves torch's choice.

    Notes
    -----
    In bfloat16 999 of 1,000 probabilities stay within 0.03 of float32 on the tiles tried while loading; the choice and
    its reason are in :attr:`description`. A batch's result does not depend on what else is in the batch beyond float
    rounding. Single voxels that stand out from all their neighbours are removed before normalising. On a GPU copies
    overlap with computing (:mod:`~LungNoduleSegLib.inference.copies`), and small batches, as clicks need them, are
    repeated from CUDA graphs (:mod:`~LungNoduleSegLib.inference.graphs`).
    """

    name = "torch"

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
        from LungNoduleSegLib.networks.folded import FoldedResidualUNet

        super().__init__(network.config, normalisation)
        if threads is not None:
            torch.set_num_threads(threads)
        self._device, warnings = choose_device(device)
        self._warnings += warnings
        self._precision_wanted = precision
        self._network = network if isinstance(network, FoldedResidualUNet) else folded(network)
        self.batch_size = int(batch_size or BATCH[self._device.type])
        self._place()

    def _place(self) -> None:
        import torch

        from LungNoduleSegLib.inference.copies import copies_for
        from LungNoduleSegLib.inference.graphs import Graphs
        from LungNoduleSegLib.inference.precision import choose_precision

        self._network = self._network.to(self._device, memory_format=torch.channels_last)
        probe = self._probe()
        self._precision = choose_precision(self._network, probe, self._precision_wanted)
        self._copies = copies_for(self._device)
        self.parts = self._copies.parts
        on_gpu = self._device.type == "cuda"
        self._graphs = Graphs(self._probability, probe, self._precision.tolerance) if on_gpu else None

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
        return str(self._device)

    @property
    def precision(self) -> str:
        return self._precision.name

    @property
    def description(self) -> str:
        import torch

        threads = f", {torch.get_num_threads()} threads" if self._device.type == "cpu" else ""
        return (
            f"PyTorch on {self.device}, {self.precision} ({self._precision.reason}){threads}, "
            f"batches of {self.at_once}{self.remark}"
        )

    def _probability(self, x: Any) -> Any:
        """Probabilities (n, h, w) of normalised tiles (n, input_slices, h, w), tensors on the device."""
        import torch

        with torch.inference_mode(), self._precision.context(self._device):
            return self._network(x.to(memory_format=torch.channels_last))[:, 0].float().sigmoid()

    def _begin(self, x: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        import torch

        compute = self._graphs or self._probability
        with torch.inference_mode():
            return self._copies.fetch(compute(self._copies.send(x)))

    def _forward(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._begin(x)()

    def _make_room(self, error: BaseException) -> None:
        import torch

        if self._graphs is not None:
            self._graphs.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if self.at_once > 1 or self._device.type == "cpu":
            super()._make_room(error)
            return
        self.warn(f"Memory ran out on {self.device} for a single tile; going on with the CPU.")
        self._device = torch.device("cpu")
        self.batch_size = BATCH["cpu"]
        self._place()


def check_fit(shapes: Mapping[str, tuple[int, ...]], state: Mapping[str, NDArray]) -> None:
    """Compare arrays with the shapes that a network has; WeightsError names what does not fit."""
    # Batch counters are of no use after training and may be left out of a file.
    missing = [n for n in shapes if n not in state and not n.endswith("num_batches_tracked")]
    unknown = [n for n in state if n not in shapes]
    wrong = [
        f"{n} {tuple(state[n].shape)} instead of {shapes[n]}"
        for n in state
        if n in shapes and tuple(state[n].shape) != shapes[n]
    ]
    findings = [
        f"{what} {', '.join(names[:3])}{' and more' if len(names) > 3 else ''}"
        for what, names in (("lacks", missing), ("holds unknown", unknown), ("holds", wrong))
        if names
    ]
    if findings:
        raise WeightsError(
            f"the weights do not fit the architecture in their card: the file {'; it '.join(findings)}",
            remedy="Use a weight file together with the card that was written with it.",
        )


def load_weights(network: Any, state: Mapping[str, NDArray]) -> None:
    """Copy arrays into a network, strictly; WeightsError names what does not fit."""
    import torch

    expected = network.state_dict()
    check_fit({n: tuple(t.shape) for n, t in expected.items()}, state)
    filled = {n: torch.from_numpy(np.array(a)).to(expected[n].dtype) for n, a in state.items()}
    network.load_state_dict({**{n: t for n, t in expected.items() if n not in filled}, **filled}, strict=True)
