"""What a run says of itself: log.jsonl, TensorBoard, a progress bar; written by one process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm


class Journal:
    """Figures of a run by images seen. ``active`` False (another process writes) does nothing."""

    def __init__(self, folder: Path, *, active: bool = True, tensorboard: bool = False):
        self.folder, self.active = folder, active
        self.tensorboard = tensorboard and active
        self._writer: Any = None

    @property
    def path(self) -> Path:
        return self.folder / "log.jsonl"

    def bar(self, total: int, done: int, *, shown: bool = True) -> tqdm:
        """Progress bar in images; in a file it writes a line now and then."""
        rest = 0.5 if sys.stderr.isatty() else 30.0
        return tqdm(total=total, initial=done, unit="img", disable=not (self.active and shown), mininterval=rest)

    def write(self, samples: int, figures: dict[str, Any]) -> None:
        """One line, and the same for TensorBoard."""
        if not self.active:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"samples": samples, **figures}) + "\n")
        if self.tensorboard:
            for name, value in _scalars(figures):
                self._board(samples).add_scalar(name, value, samples)

    def rewind(self, samples: int) -> None:
        """Take out what was logged after a checkpoint of so many images: it is about to happen again."""
        if not self.active or not self.path.is_file():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if _stands(line, samples)]
        if len(kept) < len(lines):
            beside = self.path.with_suffix(".part")
            beside.write_text("".join(kept), encoding="utf-8")
            beside.replace(self.path)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _board(self, samples: int) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # What an interrupted run wrote after its checkpoint is hidden.
            self._writer = SummaryWriter(str(self.folder / "tensorboard"), purge_step=samples)
        return self._writer


def _stands(line: str, samples: int) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False  # cut off by the kill
    # A search for false positives comes after the checkpoint of the same number of images.
    return entry["samples"] < samples + ("mined" not in entry)


def _scalars(figures: dict[str, Any]) -> list[tuple[str, float]]:
    found = []
    for name, value in figures.items():
        value = value.get("value") if isinstance(value, dict) else sum(value) if isinstance(value, list) else value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append((name, float(value)))
    return found
