"""A result in one file, so that another process can have it: the panel, or the one that writes the Slicer scene."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError
from LungNoduleSegLib.inference.candidate import Candidate
from LungNoduleSegLib.inference.spread import SpreadBox
from LungNoduleSegLib.nodules.nodule import Nodule
from LungNoduleSegLib.report.record import plain
from LungNoduleSegLib.segmenter.result import Result

FORMAT = 1
_SCALARS = (
    "threshold", "min_diameter_mm", "model", "model_sha256", "kind", "seen_in_training", "parameters", "seconds",
)  # fmt: skip
_CANDIDATE_SCALARS = ("probability", "peak", "centroid_ras", "diameter_mm", "features")


def save_result(path: str | Path, result: Result, *, with_ct: bool = False) -> None:
    """Writes a result as .npz.

    The candidates are kept, all of them, so that :meth:`Result.at` works on what is read back, and the nodules measured
    so far, with their UIDs, and the disagreement of the views where the run kept it. The probability of every voxel is
    not kept.

    Parameters
    ----------
    path
        The file; an existing one is replaced only when the new one is complete.
    result
        What a segmenter gave.
    with_ct
        Writes the CT's voxels too; else the reader brings the CT.
    """
    ct, candidates = result.ct, result.candidates
    # A nodule gets its UID when it is first measured; asking for the nodules measures those above the threshold.
    measured = result._measured if result.nodules else {}
    meta = {
        "format": FORMAT,
        **{name: getattr(result, name) for name in _SCALARS},
        "warnings": result.warnings,
        "best": result.best,
        "candidates": [{name: getattr(c, name) for name in _CANDIDATE_SCALARS} for c in candidates],
        "nodules": [asdict(measured[id(c)]) if id(c) in measured else None for c in candidates],
        "ct": {"series_uid": ct.series_uid, "study_uid": ct.study_uid, "info": ct.info, "source": ct.source,
               "warnings": ct.warnings},
    }  # fmt: skip
    arrays = {
        "meta": np.frombuffer(json.dumps(plain(meta), allow_nan=False).encode(), dtype=np.uint8),
        "shape": np.array(ct.shape),
        "ijk_to_ras": np.asarray(ct.ijk_to_ras),
        "boxes": np.array([[*c.offset_kji, *c.mask.shape] for c in candidates], dtype=np.int32).reshape(-1, 6),
        "bits": np.concatenate([np.zeros(0, np.uint8), *(np.packbits(c.mask.ravel()) for c in candidates)]),
    }
    if result.spread is not None:
        boxes = [[*box.offset_kji, *box.values.shape] for box in result.spread]
        arrays["spread_boxes"] = np.array(boxes, dtype=np.int32).reshape(-1, 6)
        arrays["spread"] = np.concatenate([np.zeros(0, np.float16), *(box.values.ravel() for box in result.spread)])
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


def load_result(path: str | Path, ct: CT | None = None) -> Result:
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
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as data:
            arrays = {name: data[name] for name in data.files}
        meta = json.loads(arrays["meta"].tobytes())
    except (OSError, BadZipFile, KeyError, ValueError) as error:
        raise InputError(f"is not a saved result ({error})", path=path, remedy="Run the segmentation again.") from error
    if meta.get("format") != FORMAT:
        raise InputError(
            f"has format {meta.get('format')}, this version reads {FORMAT}", path=path, remedy="Run it again."
        )
    ct = _saved_ct(path, arrays, meta["ct"]) if ct is None else ct
    if ct.shape != tuple(arrays["shape"]) or not np.allclose(ct.ijk_to_ras, arrays["ijk_to_ras"], atol=1e-4):
        raise InputError("belongs to a CT of another grid", path=path, remedy="Give the CT that it was made from.")
    candidates = tuple(_candidates(arrays["boxes"], arrays["bits"], meta["candidates"]))
    best = meta["best"]
    return Result(
        ct=ct,
        candidates=candidates,
        warnings=tuple(meta["warnings"]),
        best=None if best is None else (best[0], tuple(best[1])),
        spread=_spread(arrays),
        **{name: meta[name] for name in _SCALARS},
        _measured={id(c): Nodule(**fields) for c, fields in zip(candidates, meta["nodules"]) if fields is not None},
    )


def _spread(arrays: dict[str, np.ndarray]) -> tuple[SpreadBox, ...] | None:
    if "spread" not in arrays:
        return None
    found, start = [], 0
    for k, j, i, *shape in arrays["spread_boxes"].tolist():
        stop = start + int(np.prod(shape))
        found.append(SpreadBox((k, j, i), arrays["spread"][start:stop].reshape(shape)))
        start = stop
    return tuple(found)


def _saved_ct(path: str | Path, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> CT:
    if "hu" not in arrays:
        raise InputError("holds no CT", path=path, remedy="Give the CT that it was made from.")
    return CT.from_array(
        arrays["hu"],
        ijk_to_ras=arrays["ijk_to_ras"],
        copy=False,
        series_uid=facts["series_uid"],
        study_uid=facts["study_uid"],
        info=facts["info"],
        source=tuple(map(Path, facts["source"])),
        warnings=tuple(facts["warnings"]),
    )


def _candidates(boxes: np.ndarray, packed: np.ndarray, scalars: list[dict[str, Any]]) -> Iterator[Candidate]:
    start = 0
    for (k, j, i, dk, dj, di), fields in zip(boxes.tolist(), scalars, strict=True):
        size = dk * dj * di
        stop = start + -(-size // 8)
        bits = np.unpackbits(packed[start:stop], count=size)
        start = stop
        fields = {**fields, "centroid_ras": tuple(fields["centroid_ras"])}
        yield Candidate((k, j, i), bits.reshape(dk, dj, di).astype(bool), **fields)
