"""One piece of preparing, as it is handed to a working process."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from training.lidc.database import Scan
from training.prepare.pairs import Pair

FORMAT = 2
"""Of what an item holds; a cache of another format is made anew."""

KINDS = ("dicom", "pair", "public", "box", "clean")


@dataclass(frozen=True, eq=False)
class Task:
    """What one worker does: ``paths`` are files or one folder; ``scans`` the annotated series that it needs; ``rows``
    the lines of the table of public crops; ``keep_scan`` whether the whole volume goes into the cache.
    """

    kind: str
    patient: str
    paths: tuple[Path, ...]
    scans: tuple[Scan, ...] = ()
    rows: tuple[dict[str, str], ...] = ()
    marks: Path | None = None
    pair: Pair | None = None
    keep_scan: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For messages: what the user gave."""
        if self.pair is not None:
            return f"case {self.pair.case}"
        series = f", series {self.scans[0].series_uid}" if self.kind in ("dicom", "box") else ""
        return f"{self.patient}{series}"

    @property
    def key(self) -> str:
        """Folder of the item in the cache."""
        own = self.patient if self.pair is None else self.pair.case
        what = self.scans[0].series_uid if self.kind in ("dicom", "box") else own
        safe = re.sub(r"[^A-Za-z0-9-]+", "_", own)[:40]
        return f"{self.kind}-{safe}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"

    def fingerprint(self) -> str:
        """Changes when the item would: with names and sizes of the files, with the annotations, with the format."""
        digest = hashlib.sha256(f"{FORMAT} {self.kind} {self.patient} {self.keep_scan}".encode())
        files = [f for path in self.paths for f in ([path] if path.is_file() else sorted(path.rglob("*")))]
        for path in (*files, *([self.marks] if self.marks else [])):
            if path.is_file():
                digest.update(f"\n{path.name} {path.stat().st_size}".encode())
        for scan in self.scans:
            digest.update(f"\n{scan.series_uid} {[a.id for a in scan.annotations]}".encode())
        return digest.hexdigest()
