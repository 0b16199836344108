"""Weights as arrays: float16 safetensors on disk, float32 in memory, SHA-256 checked in between. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights.card import Card
from LungNoduleSegLib.weights.catalog import CatalogEntry
from LungNoduleSegLib.weights.files import write_atomically

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""Last parts of the names of what a batch norm keeps beside its parameters."""

REDUCTION = "reduction."
"""How the names of the false-positive reduction's weights begin; they do not count as the card's parameters."""

_LARGEST_HALF = float(np.finfo(np.float16).max)


def load_state(entry: CatalogEntry) -> dict[str, np.ndarray]:
    """The first of `load_parts`: the weights of the segmentation network."""
    return load_parts(entry)[0]


def load_parts(entry: CatalogEntry) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The weights of a model, checked before they are parsed.

    Returns
    -------
    Those of the segmentation network, and those of the false-positive reduction (none where the file has none), each
    name -> array: float32 for what was stored as float16 or float32, integers as they were.

    Raises
    ------
    WeightsError
        When the file is missing, truncated, not the one of the card, or does not hold as many parameters.
    """
    card = entry.card
    if card.file is None or entry.path is None:
        raise WeightsError(f"the weights of {card.name} are not here", path=entry.card_path, remedy=entry.remedy)
    again = f"{'Download' if card.url else 'Import'} the weights again"
    remedy = f"{again}, or reinstall the program." if entry.shipped else f"{again}."
    try:
        # Read once: what is hashed is what is parsed.
        raw = entry.path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot be read ({error.strerror or error})", path=entry.path, remedy=remedy) from error
    if len(raw) != card.size_bytes:
        kind = "truncated" if len(raw) < (card.size_bytes or 0) else "too long"
        finding = f"the file is {kind}: {len(raw)} bytes, and its card says {card.size_bytes}"
        raise WeightsError(finding, path=entry.path, remedy=remedy)
    digest = hashlib.sha256(raw).hexdigest()
    if digest != card.sha256:
        finding = f"the file is damaged or not the one of its card: SHA-256 {digest}, and the card says {card.sha256}"
        raise WeightsError(finding, path=entry.path, remedy=remedy)
    arrays = _parse(raw, card, entry.path)
    second = {n.removeprefix(REDUCTION): arrays.pop(n) for n in list(arrays) if n.startswith(REDUCTION)}
    return arrays, second


def save_weights(
    folder: str | PathLike[str], card: Card, state: Mapping[str, Any], reduction: Mapping[str, Any] | None = None
) -> Card:
    """Write weights as float16 safetensors and their card beside them, each complete or not at all.

    Parameters
    ----------
    folder
        Made if need be. The files are ``card.file`` (default: the card's name with ``.safetensors``) and
        ``<name>.json``.
    card
        The card; its file, SHA-256 and size are filled in.
    state
        Name -> array of the network's state (arrays, or CPU tensors that numpy reads). Floating point is stored as
        float16, and as float32 where float16 would overflow; integers stay as they are.
    reduction
        The same of the false-positive reduction, which the card then describes.

    Returns
    -------
    The card as written.

    Raises
    ------
    WeightsError
        For values that are not finite, a number of parameters that is not the card's, or a false-positive reduction
        that the card does not describe, or the other way round; nothing is written then.
    """
    import safetensors.numpy

    if (card.postprocessing.get("reduction") is None) != (not reduction):
        raise WeightsError(
            f"the card of {card.name} describes {'no' if reduction else 'a'} false-positive reduction, and its weights "
            f"are {'given' if reduction else 'missing'}",
            remedy="Write both together.",
        )
    folder = Path(folder)
    arrays = {name: _stored(name, value) for name, value in state.items()}
    arrays |= {f"{REDUCTION}{name}": _stored(name, value) for name, value in (reduction or {}).items()}
    _check_count(arrays, card, folder)
    # One key only: several would come out in a random order, and the hash with them.
    raw = safetensors.numpy.save(arrays, metadata={"model": f"{card.name} {card.version}"})
    file = card.file or f"{card.name}.safetensors"
    card = card.with_file(file, hashlib.sha256(raw).hexdigest(), len(raw))
    write_atomically(folder / file, raw)
    card.write(folder / f"{card.name}.json")
    return card


def as_loaded(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays that `load_state` would give after `save_weights`: rounded to float16, float32 in memory."""
    arrays = {name: _stored(name, value) for name, value in state.items()}
    return {n: a.astype(np.float32) if np.issubdtype(a.dtype, np.floating) else a.copy() for n, a in arrays.items()}


def _stored(name: str, value: Any) -> np.ndarray:
    array = np.asarray(value, order="C")
    if not np.issubdtype(array.dtype, np.floating):
        if not np.issubdtype(array.dtype, np.integer) and array.dtype != np.bool_:
            raise WeightsError(f"the weight `{name}` has type {array.dtype}, which is not stored")
        return array
    if not np.isfinite(array).all():
        raise WeightsError(
            f"the weight `{name}` has values that are not finite", remedy="The training diverged: lower the rate."
        )
    largest = float(np.abs(array).max()) if array.size else 0.0
    return array.astype(np.float16 if largest <= _LARGEST_HALF else np.float32)


def _parse(raw: bytes, card: Card, path: Path) -> dict[str, np.ndarray]:
    import safetensors
    import safetensors.numpy

    try:
        arrays = safetensors.numpy.load(raw)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"the file is no safetensors file that can be read ({error})", path=path, remedy="Export it again."
        ) from error
    del raw
    _check_count(arrays, card, path)
    for name in list(arrays):
        array = arrays.pop(name)  # one by one, so that both precisions of all of them never lie in memory together
        # The copy makes integers writable too; torch asks for that.
        arrays[name] = array.astype(np.float32) if np.issubdtype(array.dtype, np.floating) else array.copy()
    return arrays


def _check_count(arrays: Mapping[str, np.ndarray], card: Card, path: Path) -> None:
    own = (array for name, array in arrays.items() if not name.startswith(REDUCTION) and not _is_buffer(name))
    count = sum(array.size for array in own)
    if count != card.parameters:
        raise WeightsError(
            f"the weights hold {count} parameters, and the card of {card.name} says {card.parameters}",
            path=path,
            remedy="They do not fit this architecture: take the card that belongs to the weights.",
        )


def _is_buffer(name: str) -> bool:
    return name.rsplit(".", 1)[-1] in BUFFERS
