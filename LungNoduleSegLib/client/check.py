"""Whether a Python can run the segmentation, said in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.client.requirements import ENGINES, title
from LungNoduleSegLib.client.run import Run


@dataclass(frozen=True)
class DeviceReport:
    """A device, tried with a real operation.

    Attributes
    ----------
    name
        As a run is given it: "cpu", "cuda:0", "mps"; "cuda" where none can be told apart.
    usable
        Whether a test convolution gave the right numbers.
    reason
        Why not, as a clause; "" for one that works.
    title
        What people call it: "NVIDIA RTX A5000".
    """

    name: str
    usable: bool
    reason: str
    title: str = ""

    def sentence(self) -> str:
        """For people."""
        named = f"{self.name} ({self.title})" if self.title else self.name
        return f"The device {named} works." if self.usable else f"The device {named} cannot be used: {self.reason}."


@dataclass(frozen=True)
class InstallationReport:
    """What a Python has for a run.

    Attributes
    ----------
    python, executable, platform
        Version, program and system.
    packages
        Version of each package that a run needs, by import name; None where it is missing.
    missing
        Import names of what a run needs and this Python lacks; where it has none of the engines, the smaller one.
    broken
        Import name and reason of what is there but cannot be loaded.
    torch, onnxruntime, openvino
        Version of each engine, or None.
    devices
        Those that torch was tried with; empty without torch.
    cpu, threads
        The processor, and the threads that a run on it uses.
    model, device, engine, precision, seconds_a_tile_batch, tiles_a_batch
        The model that was tried, where it ran, what computed ("torch", "onnxruntime" or "openvino"), in which number
        format, and how long a batch of so many tiles of 128 x 128 pixels takes in s; None where none was tried.
    problem
        Sentences about a model or device that does not work, or "".
    advice
        What would make it faster, as a clause, or "".
    """

    python: str
    platform: str
    packages: Mapping[str, str | None]
    missing: tuple[str, ...]
    torch: str | None
    devices: tuple[DeviceReport, ...]
    cpu: str
    threads: int
    precision: str | None = None
    seconds_a_tile_batch: float | None = None
    executable: str = ""
    broken: Mapping[str, str] | None = None
    model: str | None = None
    device: str | None = None
    tiles_a_batch: int | None = None
    problem: str = ""
    onnxruntime: str | None = None
    openvino: str | None = None
    engine: str | None = None
    advice: str = ""

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> InstallationReport:
        """From what :func:`LungNoduleSegLib.client.probe.probe` found."""
        known = {field.name for field in fields(cls)}
        found = {name: value for name, value in event.items() if name in known}
        found["missing"] = tuple(found["missing"])
        found["devices"] = tuple(DeviceReport(**device) for device in found["devices"])
        return cls(**found)

    @property
    def ok(self) -> bool:
        """Whether a run will work, as far as was tried."""
        return not self.missing and not self.blocking and (self.model is None or self.seconds_a_tile_batch is not None)

    @property
    def blocking(self) -> dict[str, str]:
        """What of :attr:`broken` a run cannot do without: one engine that can be loaded is enough."""
        broken = dict(self.broken or {})
        one_works = bool(self._engines)
        return {name: why for name, why in broken.items() if not (one_works and name in ENGINES)}

    def sentences(self) -> list[str]:
        """For people, one finding each."""
        said = [f"Python {self.python} on {self.platform}: {self.executable}"]
        if self.missing:
            said.append(f"Missing: {', '.join(map(title, self.missing))}.")
        said += [f"{title(name)} is there but cannot be loaded: {why}." for name, why in (self.broken or {}).items()]
        if not self.missing and not self.blocking:
            said.append("All packages that a run needs are there.")
        engines = [f"{title(name)} {version}" for name, version in self._engines.items()]
        if engines:
            threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
            said.append(f"{', '.join(engines)}, {threads} on {self.cpu}.")
        said += [device.sentence() for device in self.devices]
        if self.seconds_a_tile_batch is not None:
            said.append(
                f"The model {self.model} runs on {self.device} in {self.precision}"
                f"{f' with {title(self.engine)}' if self.engine else ''}: "
                f"{self.seconds_a_tile_batch:.2g} s for {self.tiles_a_batch} tiles."
            )
        return [*said, *filter(None, [self.problem, self.advice and f"{self.advice[0].upper()}{self.advice[1:]}."])]

    @property
    def _engines(self) -> dict[str, str]:
        """Version of each engine that is there, by import name."""
        there = {"openvino": self.openvino, "onnxruntime": self.onnxruntime, "torch": self.torch}
        return {name: version for name, version in there.items() if version is not None}


def start_check(
    interpreter: Interpreter,
    model: str | None,
    device: str,
    *,
    threads: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Starts to look at a Python; its "result" event carries ``report``, an :class:`InstallationReport`.

    Parameters
    ----------
    interpreter, threads, environment
        As for a :class:`Run`.
    model
        Tried with a few tiles; None for none.
    device
        Where it is tried: "auto", "cpu", "cuda", "cuda:N" or "mps".
    """
    run = Run(
        interpreter,
        {"command": "check", "model": model, "device": device},
        threads=threads,
        environment=environment,
        finish=lambda event: {**event, "report": InstallationReport.from_event(event)},
    )
    run.start()
    return run
