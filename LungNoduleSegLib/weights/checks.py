"""Checks of JSON values that enter from a card: each error names the key, the value and what was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from LungNoduleSegLib.errors import WeightsError

REMEDY = "Take the card that belongs to the weights, or write both again with the training package."

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
UID_LENGTH = 64
"""Longest DICOM unique identifier (PS3.5, section 9.1)."""


def refuse(where: str, expected: str, value: object) -> NoReturn:
    """Raise WeightsError: the key, what was expected and what was found."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    raise WeightsError(f"expected `{where}` to be {expected}, got {shown}", remedy=REMEDY)


def key(data: Mapping[str, Any], name: str, where: str = "") -> Any:
    """The value of a key that must be there."""
    if name not in data:
        raise WeightsError(f"the key `{where}{name}` is missing", remedy=REMEDY)
    return data[name]


def mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        refuse(where, "an object", value)
    return value


def sequence(value: object, where: str) -> Sequence[Any]:
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        refuse(where, "a list", value)
    return value


def text(value: object, where: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (empty or value.strip()):
        refuse(where, "a text" if empty else "a text that is not empty", value)
    return value


def integer(value: object, where: str, *, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        refuse(where, f"a whole number of at least {least}", value)
    return value


def number(value: object, where: str, *, low: float = -math.inf, high: float = math.inf) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        refuse(where, "a finite number", value)
    if not low <= value <= high:
        refuse(where, f"between {low:g} and {high:g}", value)
    return float(value)


def matching(value: object, where: str, pattern: str, expected: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        refuse(where, expected, value)
    return value


def uids(value: object, where: str) -> tuple[str, ...]:
    """A list of DICOM unique identifiers, each once."""
    found = sequence(value, where)
    for uid in found:
        if not isinstance(uid, str) or len(uid) > UID_LENGTH or not _UID.fullmatch(uid):
            refuse(where, "a list of DICOM SeriesInstanceUIDs", uid)
    if len(set(found)) != len(found):
        twice = next(uid for uid in found if list(found).count(uid) > 1)
        refuse(where, "a list that names each series once", twice)
    return tuple(found)


def frozen(value: Any, where: str = "") -> Any:
    """The same JSON value, read-only through and through: objects as mapping proxies, lists as tuples."""
    if isinstance(value, Mapping):
        return MappingProxyType({str(name): frozen(item, f"{where}.{name}") for name, item in value.items()})
    if isinstance(value, (list, tuple)):
        return tuple(frozen(item, f"{where}[{index}]") for index, item in enumerate(value))
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        refuse(where, "a finite number", value)
    if value is not None and not isinstance(value, (str, int, float)):
        refuse(where, "a JSON value", value)
    return value


def thawed(value: Any) -> Any:
    """Inverse of `frozen`: plain dicts and lists, as json writes them."""
    if isinstance(value, Mapping):
        return {name: thawed(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [thawed(item) for item in value]
    return value
