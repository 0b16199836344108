"""The engine by PyTorch: tiles of HU in, probabilities out, on any device, whatever memory there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from LungNoduleSegLib.inference.engines.batches import BATCH, BatchEngine
from LungNoduleSegLib.inference.engines.fit import check_fit
from LungNoduleSegLib.inference.engines.plausible import plausible_tiles
from LungNoduleSegLib.inference.normalise import Normalisation


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
        "auto", "float32", "bfloat16", "float16"; see
        :func:`~LungNoduleSegLib.inference.engines.precision.choose_precision`.
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
    overlap with computing (:mod:`~LungNoduleSegLib.inference.engines.copies`), and small batches, as clicks need
    them, are repeated from CUDA graphs (:mod:`~LungNoduleSegLib.inference.engines.graphs`).
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

        from LungNoduleSegLib.inference.engines.device import choose_device
        from LungNoduleSegLib.inference.engines.fold import folded
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

        from LungNoduleSegLib.inference.engines.copies import copies_for
        from LungNoduleSegLib.inference.engines.graphs import Graphs
        from LungNoduleSegLib.inference.engines.precision import choose_precision

        self._network = self._network.to(self._device, memory_format=torch.channels_last)
        probe = torch.from_numpy(plausible_tiles(self.config, self.normalisation)).to(
            self._device, memory_format=torch.channels_last
        )
        self._precision = choose_precision(self._network, probe, self._precision_wanted)
        self._copies = copies_for(self._device)
        self.parts = self._copies.parts
        on_gpu = self._device.type == "cuda"
        self._graphs = Graphs(self._probability, probe, self._precision.tolerance) if on_gpu else None

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


def load_weights(network: Any, state: Mapping[str, NDArray]) -> None:
    """Copy arrays into a network, strictly; WeightsError names what does not fit."""
    import torch

    expected = network.state_dict()
    check_fit({n: tuple(t.shape) for n, t in expected.items()}, state)
    filled = {n: torch.from_numpy(np.array(a)).to(expected[n].dtype) for n, a in state.items()}
    network.load_state_dict({**{n: t for n, t in expected.items() if n not in filled}, **filled}, strict=True)
