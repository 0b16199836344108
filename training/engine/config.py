"""What decides a run, and on what it is computed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.normalise import Normalisation
from training.data.sampling_config import SamplingConfig
from training.data.split import check_protocol
from training.engine.architecture import AnyNetworkConfig, config_from_dict

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
STRATEGIES = ("auto", "ddp")
DICE = ("image", "batch")


def _check(name: str, value: Any, good: bool, wanted: str) -> None:
    if not good:
        raise InputError(f"Expected argument `{name}` to be {wanted}, got {value!r}")


@dataclass(frozen=True)
class EngineConfig:
    """On what a run is computed. None of it changes what the run is: batches are of the same images everywhere.

    Parameters
    ----------
    accelerator
        "auto" takes a GPU where there is one, else the CPU.
    devices, nodes
        Processes on each computer, and computers. Every process takes its share of each batch (DDP).
    strategy
        "auto" is DDP with more than one process; "ddp" always.
    precision
        "auto" is bfloat16 where the processor multiplies it, else float32 (float16 on an older GPU). Weights, loss and
        optimiser stay float32.
    accumulate
        Parts that a process cuts its share of a batch into, one after another, where memory is short. Batch
        normalisation then sees the parts, not the batch.
    workers
        Processes that make batches beside each training process; 0 makes the next batch in a thread.
    deterministic
        Ask CUDA for operations that give the same bits every time, where it has them (slower).
    tensorboard, progress
        Write the figures for TensorBoard too; show a progress bar.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    precision: str = "auto"
    accumulate: int = 1
    workers: int = 0
    deterministic: bool = False
    tensorboard: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        for name, known in (("accelerator", ACCELERATORS), ("strategy", STRATEGIES), ("precision", PRECISIONS)):
            _check(name, getattr(self, name), getattr(self, name) in known, f"one of {known}")
        for name, least in (("devices", 1), ("nodes", 1), ("accumulate", 1), ("workers", 0)):
            value = getattr(self, name)
            _check(name, value, isinstance(value, int) and value >= least, f"a whole number from {least}")

    @property
    def processes(self) -> int:
        """Processes in all."""
        return self.devices * self.nodes


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run.

    Parameters
    ----------
    network
        A member of the family, or a baseline.
    samples
        Images seen in all.
    cooldown
        The last of them, over which the learning rate falls linearly to zero; before that it is constant (warm-up
        apart), so that a run can be lengthened before it cools down.
    bce_weight, positive_weight, dice
        The loss, see `training.engine.losses`; ``dice`` is taken per "image" or over the "batch".
    mine_every
        Samples between two searches for false positives in the training scans; 0 never searches.
    validate_every
        Samples between two looks at the validation patients; 0 never looks, not at the end either.
    validate_images
        Validation images of a look: an even selection of so many; 0 takes all.
    patience
        So many looks in a row without a better ``iou_pos`` begin the cool-down early; 0 never does.
    protocol
        What the split is by: "patient", or the thesis' leaky "slice".
    leave_out
        Patients that train nothing, neither by crops nor by scans, so that the network can be judged on them.
    engine
        On what it is computed.
    """

    network: AnyNetworkConfig
    normalisation: Normalisation = field(default_factory=Normalisation)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    samples: int = 100_000
    cooldown: int = 25_000
    warmup: int = 3_000
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    ema_decay: float = 0.999
    bce_weight: float = 0.5
    positive_weight: float = 1.0
    dice: str = "image"
    mine_every: int = 15_000
    validate_every: int = 10_000
    validate_images: int = 0
    patience: int = 0
    seed: int = 0
    protocol: str = "patient"
    leave_out: tuple[str, ...] = ()
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        _check("samples", self.samples, self.samples >= 1, "at least 1")
        for name in ("cooldown", "warmup", "mine_every", "validate_every", "validate_images", "patience", "seed"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        _check("learning_rate", self.learning_rate, self.learning_rate > 0, "positive")
        _check("ema_decay", self.ema_decay, 0 <= self.ema_decay < 1, "from 0 to below 1")
        _check("dice", self.dice, self.dice in DICE, f"one of {DICE}")
        check_protocol(self.protocol)
        parts, size = self.engine.processes * self.engine.accumulate, self.sampling.batch_size
        _check("batch_size", size, size >= parts, f"at least {parts}, one image for each process and part of its share")
        if self.dice == "batch" and self.engine.accumulate > 1:
            raise InputError(
                "a Dice over the batch cannot be added up from parts of it",
                remedy="Set `accumulate` to 1, or `dice` to 'image'.",
            )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        data = asdict(self)
        data["network"] = self.network.to_dict()
        return json.loads(json.dumps(data))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> RunConfig:
        """Inverse of `to_dict`. What an older run did not know yet takes its default; ValueError for unknown keys."""
        data = dict(data)
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"Expected keys of a run out of {[f.name for f in fields(cls)]}, got {sorted(unknown)}")
        data["network"] = config_from_dict(data["network"])
        data["normalisation"] = Normalisation.from_dict(data.get("normalisation", {}))
        sampling = dict(data.get("sampling", {}))
        if "scale" in sampling:
            sampling["scale"] = tuple(sampling["scale"])
        data["sampling"] = SamplingConfig(**sampling)
        data["leave_out"] = tuple(data.get("leave_out", ()))
        data["engine"] = EngineConfig(**data.get("engine", {}))
        return cls(**data)
