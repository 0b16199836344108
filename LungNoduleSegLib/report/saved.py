"""A result in one file, so that another process can have it: the panel, or the one that writes the Slicer scene."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy import ndimage

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.nodules.nodule import Nodule
from LungNoduleSegLib.report.record import plain

FORMAT = 1


@dataclass(frozen=True)
class SavedCandidate:
    """A candidate as the run found it; the fields of :class:`LungNoduleSegLib.inference.Candidate`."""

    offset_kji: tuple[int, int, int]
    mask: np.ndarray
    probability: float
    peak: float
    centroid_ras: tuple[float, float, float]
    diameter_mm: float
    features: dict[str, float]


@dataclass(frozen=True)
class SavedResult:
    """What :class:`LungNoduleSegLib.segmenter.Result` holds, without the network or torch."""

    labels: np.ndarray
    nodules: list[Nodule]
    candidates: list[SavedCandidate]
    ct: CT
    model: str
    model_sha256: str
    threshold: float | None
    parameters: dict[str, Any]
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    best: tuple[float, tuple[float, float, float]] | None
    seen_in_training: str | None
    kind: str = field(default="AUTOMATIC")


_SCALARS = ("model", "model_sha256", "threshold", "parameters", "seconds", "seen_in_training", "kind")
_CANDIDATE_SCALARS = ("probability", "peak", "centroid_ras", "diameter_mm", "features")


def save_result(path: str | Path, result: Any, *, with_ct: bool = False) -> None:
    """Writes a result as .npz.

    Parameters
    ----------
    path
        The file; an existing one is replaced only when the new one is complete.
    result
        A :class:`~LungNoduleSegLib.segmenter.Result` or what was loaded from a file.
    with_ct
        Writes the CT's voxels too; else the reader brings the CT.
    """
    labels = np.asarray(result.labels)
    # Labels are a few small regions in a large volume: only the box around them is kept.
    boxes = [box for box in ndimage.find_objects(labels) if box is not None]
    low = [min((box[axis].start for box in boxes), default=0) for axis in range(3)]
    high = [max((box[axis].stop for box in boxes), default=0) for axis in range(3)]
    ct = result.ct
    meta = {
        "format": FORMAT,
        **{name: getattr(result, name) for name in _SCALARS},
        "warnings": list(result.warnings),
        "best": result.best,
        "nodules": [asdict(nodule) for nodule in result.nodules],
        "candidates": [{n: getattr(c, n) for n in _CANDIDATE_SCALARS} for c in result.candidates],
        "ct": {"series_uid": ct.series_uid, "study_uid": ct.study_uid, "info": ct.info, "source": ct.source,
               "warnings": ct.warnings},
    }  # fmt: skip
    arrays = {
        "meta": np.frombuffer(json.dumps(plain(meta), allow_nan=False).encode(), dtype=np.uint8),
        "shape": np.array(labels.shape),
        "labels_at": np.array(low),
        "labels": labels[tuple(slice(a, b) for a, b in zip(low, high))],
        "ijk_to_ras": np.asarray(ct.ijk_to_ras),
        "candidate_boxes": np.array([[*c.offset_kji, *c.mask.shape] for c in result.candidates], dtype=np.int32),
        "candidate_bits": np.concatenate(
            [np.zeros(0, np.uint8), *(np.packbits(np.asarray(c.mask, bool).ravel()) for c in result.candidates)]
        ),
    }
    path = Path(path)
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            if with_ct:  # a CT hardly shrinks, and the file lives for seconds
                np.savez(file, hu=ct.hu, **arrays)
            else:
                np.savez_compressed(file, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_result(path: str | Path, ct: CT | None = None) -> SavedResult:
    """Reads a result back.

    Parameters
    ----------
    path
        What :func:`save_result` wrote.
    ct
        The CT of the run; needed where the file does not hold it.

    Raises
    ------
    InputError
        If the file is damaged, of another format, without a CT, or of another grid than ``ct``.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        meta = json.loads(arrays["meta"].tobytes())
    except (OSError, BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"is not a saved result ({error})", path=path, remedy="Run the segmentation again.") from error
    if meta.get("format") != FORMAT:
        raise InputError(
            f"has format {meta.get('format')}, this version reads {FORMAT}", path=path, remedy="Run it again."
        )
    shape = tuple(int(n) for n in arrays["shape"])
    if ct is None:
        if "hu" not in arrays:
            raise InputError("holds no CT", path=path, remedy="Give the CT that it was made from.")
        facts = meta["ct"]
        ct = CT.from_array(
            arrays["hu"], ijk_to_ras=arrays["ijk_to_ras"], copy=False, series_uid=facts["series_uid"],
            study_uid=facts["study_uid"], info=facts["info"], source=tuple(map(Path, facts["source"])),
            warnings=tuple(facts["warnings"]),
        )  # fmt: skip
    if ct.shape != shape or not np.allclose(ct.ijk_to_ras, arrays["ijk_to_ras"], atol=1e-4):
        raise InputError("belongs to a CT of another grid", path=path, remedy="Give the CT that it was made from.")
    labels = np.zeros(shape, np.uint16)
    at, box = arrays["labels_at"], arrays["labels"]
    labels[tuple(slice(a, a + n) for a, n in zip(at, box.shape))] = box
    labels.flags.writeable = False
    best = meta["best"]
    return SavedResult(
        labels=labels,
        nodules=[_nodule(fields) for fields in meta["nodules"]],
        candidates=list(_candidates(arrays, meta["candidates"])),
        ct=ct,
        warnings=tuple(meta["warnings"]),
        best=None if best is None else (best[0], tuple(best[1])),
        **{name: meta[name] for name in _SCALARS},
    )


def _nodule(fields: dict[str, Any]) -> Nodule:
    return Nodule(**fields)


def _candidates(arrays, scalars):
    start = 0
    for (k, j, i, dk, dj, di), fields in zip(arrays["candidate_boxes"].reshape(-1, 6).tolist(), scalars):
        size = dk * dj * di
        stop = start + -(-size // 8)
        bits = np.unpackbits(arrays["candidate_bits"][start:stop], count=size)
        start = stop
        fields = {**fields, "centroid_ras": tuple(fields["centroid_ras"])}
        yield SavedCandidate((k, j, i), bits.reshape(dk, dj, di).astype(bool), **fields)
