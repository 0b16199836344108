"""What the runner wrote, loaded: for a thread of the panel's process, because it takes a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LungNoduleSegLib.errors import InputError

if TYPE_CHECKING:
    from LungNoduleSegLib.ct import CT
    from LungNoduleSegLib.segmenter.result import Result


def prepare() -> None:
    """Imports what :func:`load_event` needs, while the process is still at work."""
    import LungNoduleSegLib.report.saved  # noqa: F401


def load_event(event: Mapping[str, Any], ct: CT | None) -> dict[str, Any]:
    """A "result" event of the runner with what its files hold.

    Parameters
    ----------
    event
        With ``npz``, ``json`` and perhaps ``probability``: paths; without ``npz`` there is nothing to load.
    ct
        The CT of the run.

    Returns
    -------
    The event with ``result`` (a segmenter's Result; ``result.probability()`` works if it was asked for, or None) and
    ``record`` (the run's record as a dict, or None).

    Raises
    ------
    InputError
        If a file is missing or damaged.
    """
    found: dict[str, Any] = {**event, "result": None, "record": None}
    if not event.get("npz"):
        return found
    from LungNoduleSegLib.report.saved import load_result

    result = load_result(event["npz"], ct)
    if event.get("probability"):
        result = _with_probability(result, event["probability"])
    try:
        record = json.loads(Path(event["json"]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"is no record of a run ({error})", path=event["json"], remedy="Run it again.") from error
    return {**found, "result": result, "record": record}


def _with_probability(result: Result, path: str) -> Result:
    try:
        with np.load(path, allow_pickle=False) as data:
            values = data["probability"]
    except Exception as error:  # a damaged archive raises many kinds
        raise InputError(f"holds no probabilities ({error})", path=path, remedy="Run it again.") from error
    if values.shape != result.ct.shape:
        raise InputError("holds probabilities of another grid", path=path, remedy="Run it again.")
    return replace(result, _probability=lambda: values)
