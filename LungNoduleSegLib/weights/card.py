"""The card of a model: what it is, what it was trained on, how well it does, and which file holds its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from LungNoduleSegLib.errors import WeightsError
from LungNoduleSegLib.weights import card_parts as parts
from LungNoduleSegLib.weights import checks
from LungNoduleSegLib.weights.files import write_atomically

SCHEMA = 1
"""Version of the card's layout; a change that an older reader would misread raises it."""

CARD_BYTES = 16_000_000
"""A file larger than this is no card: all of LIDC-IDRI's identifiers are under 80 kB."""

_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_VERSION = r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}"

_OPTIONAL = ("quantisation",)


@dataclass(frozen=True)
class Card:
    """Card of one model, validated; nested objects are read-only mappings, lists are tuples.

    Parameters
    ----------
    name
        Short name by which the model is loaded: lower-case letters, digits, ``.``, ``_`` and ``-``.
    title, summary, licence, intended_use
        For people.
    version
        Numbers with dots, for example "0.1.0".
    architecture
        `NetworkConfig.to_dict()` of the network.
    parameters
        Number of trainable parameters.
    preprocessing
        ``normalisation`` (`Normalisation.to_dict()`), ``tile_px``, ``clip_hu`` (low, high), ``input_slices``.
    postprocessing
        ``mask_threshold`` (0..1) and ``candidate_scorer`` (coefficients, or None); optional ``crop_views`` (mirrored
        and turned views that are averaged for a crop), ``crop_zooms`` (magnifications at which they are),
        ``coarse_pixel_mm`` (larger pixels at which a whole CT is searched too; 0: none; absent: the program's own),
        ``crop_logit_offset`` and ``reduction`` (layers of the false-positive reduction, whose weights lie in the same
        file; None or absent: the model has none, or what it was chosen with had none).
    training
        ``data`` (text), ``series`` with every ``train`` and ``validation`` SeriesInstanceUID, ``split``, and more.
    metrics
        Per set ("test", "validation", "candidates"), per metric: ``value``, and ``low`` and ``high`` of its interval;
        for "calibration" also ``bins``: lists ``counts``, ``positives``, ``confidence`` and ``observed``.
    operating_points
        Each with ``name`` and ``threshold`` (0..1), one of them with ``default`` true.
    file, sha256, size_bytes
        The weights, beside the card; all None for a model that is listed without weights.
    url
        Where the weights can be downloaded, or None.
    how_to_get
        How to get or train the weights, or None.
    quantisation
        None, or what computing in whole numbers of 8 bits needs: ``ranges``, by convolution of the folded network the
        least and greatest value that it takes and the least and greatest that it gives; and how far that moves the
        figures of the validation patients.
    extra
        Keys of the JSON object that this version does not know, kept as they are.

    Raises
    ------
    WeightsError
        For a value that does not fit, naming its key.
    """

    name: str
    title: str
    version: str
    summary: str
    architecture: Mapping[str, Any]
    parameters: int
    preprocessing: Mapping[str, Any]
    postprocessing: Mapping[str, Any]
    training: Mapping[str, Any]
    metrics: Mapping[str, Any]
    operating_points: tuple[Mapping[str, Any], ...]
    licence: str
    intended_use: str
    file: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    url: str | None = None
    how_to_get: str | None = None
    quantisation: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, checks.frozen(getattr(self, field.name), field.name))
        object.__setattr__(self, "extra", self.extra or checks.frozen({}))
        checks.matching(self.name, "name", _NAME, "lower-case letters, digits, '.', '_' and '-'")
        checks.matching(self.version, "version", _VERSION, "numbers with dots, such as '0.1.0'")
        for name in ("title", "summary", "licence", "intended_use"):
            checks.text(getattr(self, name), name)
        checks.integer(self.parameters, "parameters", least=1)
        parts.check_architecture(self.architecture)
        parts.check_preprocessing(self.preprocessing, self.architecture)
        parts.check_postprocessing(self.postprocessing)
        parts.check_training(self.training, trained=self.file is not None)
        parts.check_metrics(self.metrics)
        parts.check_operating_points(self.operating_points)
        parts.check_file(self)
        if self.quantisation is not None:
            parts.check_quantisation(self.quantisation)

    def __hash__(self) -> int:
        return hash((self.name, self.version, self.sha256))

    def __reduce__(self):
        # Read-only mappings do not pickle, and cards travel to worker processes.
        return (Card.from_dict, (self.to_dict(),))

    @property
    def version_key(self) -> tuple[int, ...]:
        """For comparison: "0.10" is newer than "0.9.1", and "1.0" is the same as "1"."""
        numbers = [int(part) for part in self.version.split(".")]
        while numbers and not numbers[-1]:
            numbers.pop()
        return tuple(numbers)

    @property
    def stem(self) -> str:
        """Name, without suffix, of its files in the user's folder; the version keeps two versions apart."""
        return f"{self.name}-{self.version}"

    @property
    def default_operating_point(self) -> Mapping[str, Any] | None:
        """The operating point that a run uses unless told otherwise; None for a card without any."""
        return next((point for point in self.operating_points if point.get("default")), None)

    def with_file(self, file: str, sha256: str, size_bytes: int) -> Card:
        """The same card for these weights."""
        return replace(self, file=file, sha256=sha256, size_bytes=size_bytes)

    def to_dict(self) -> dict[str, Any]:
        """JSON types, in the order of the fields; inverse of `from_dict`."""
        data = {field.name: checks.thawed(getattr(self, field.name)) for field in fields(self)}
        extra = data.pop("extra")
        return {"schema": SCHEMA, **{k: v for k, v in data.items() if v is not None or k not in _OPTIONAL}, **extra}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: str | PathLike[str]) -> None:
        """Write as JSON, complete or not at all."""
        write_atomically(path, self.to_json().encode())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, path: str | PathLike[str] | None = None) -> Card:
        """From JSON types; WeightsError (naming ``path``) for a missing key or a value that does not fit."""
        try:
            data = dict(checks.mapping(data, "card"))
            schema = checks.integer(checks.key(data, "schema"), "schema", least=1)
            if schema > SCHEMA:
                raise WeightsError(
                    f"the card has layout {schema}, and this version reads up to {SCHEMA}",
                    remedy="Update LungNoduleSeg.",
                )
            names = [field.name for field in fields(cls) if field.name != "extra"]
            known = {name: checks.key(data, name) for name in names if name in data or name not in _OPTIONAL}
            extra = {name: value for name, value in data.items() if name not in known and name != "schema"}
            return cls(**known, extra=extra)
        except WeightsError as error:
            if path is None or error.path is not None:
                raise
            raise WeightsError(error.finding, path=path, remedy=error.remedy) from None

    @classmethod
    def from_json(cls, text: str | bytes, *, path: str | PathLike[str] | None = None) -> Card:
        """From the text of a card; WeightsError for text that is no JSON."""
        try:
            if isinstance(text, bytes):
                text = text.decode("utf-8-sig")
            data = json.loads(text, parse_constant=_no_constant)
        except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are both
            raise WeightsError(f"the card is not valid JSON ({error})", path=path, remedy=checks.REMEDY) from None
        except RecursionError:
            raise WeightsError("the card is nested too deeply", path=path, remedy=checks.REMEDY) from None
        return cls.from_dict(data, path=path)

    @classmethod
    def read(cls, path: str | PathLike[str]) -> Card:
        """From a file; WeightsError names it when it is missing, unreadable or does not fit."""
        path = Path(path)
        try:
            if path.stat().st_size > CARD_BYTES:
                raise WeightsError("the file is too large for a card", path=path, remedy=checks.REMEDY)
            raw = path.read_bytes()
        except FileNotFoundError:
            raise WeightsError("there is no such card", path=path, remedy=checks.REMEDY) from None
        except OSError as error:
            raise WeightsError(
                f"the card cannot be read ({error.strerror or error})", path=path, remedy="Check its permissions."
            ) from None
        return cls.from_json(raw, path=path)


def trained_on(card: Card, series_uid: str) -> Literal["train", "validation"] | None:
    """Whether the model saw this series: in training, in validation, or not at all (also for an empty UID)."""
    uid = series_uid.strip(" \0")
    for part in ("train", "validation"):
        if uid and uid in card.training["series"][part]:
            return part  # type: ignore[return-value]
    return None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
