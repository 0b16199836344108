"""Which of the DICOM files make up the one series to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from LungNoduleSegLib.ct.headers import (
    CT_IMAGE,
    ENHANCED_CT_IMAGES,
    FileHeader,
    SliceHeader,
    looks_like_dicom,
    read_header,
)
from LungNoduleSegLib.ct.sources import SourceFile
from LungNoduleSegLib.errors import InputError


@dataclass(frozen=True)
class Series:
    """All files with one SeriesInstanceUID."""

    uid: str
    files: tuple[FileHeader, ...]

    @property
    def slices(self) -> list[SliceHeader]:
        """Every slice but scout views."""
        return [one for file in self.files for one in file.slices if not one.is_localizer]

    @property
    def localizers(self) -> list[SliceHeader]:
        """The scout views."""
        return [one for file in self.files for one in file.slices if one.is_localizer]

    @property
    def fault(self) -> str:
        """Why this series is no CT volume, as a clause; empty where it may be one."""
        first = self.files[0]
        if not any(file.slices for file in self.files):
            return f"no images in it (modality {first.modality or 'not given'})"
        if first.modality != "CT":
            return f"modality {first.modality or 'not given'}, not CT"
        if first.sop_class not in (CT_IMAGE, *ENHANCED_CT_IMAGES):
            return "not CT slices but screen captures or another kind of image"
        if any(file.samples_per_pixel != 1 for file in self.files):
            return "colour images, not CT values"
        if not self.slices:
            return "only a localizer (scout view)"
        return ""

    def __str__(self) -> str:
        count = sum(len(file.slices) for file in self.files)
        description = f'"{self.files[0].description}"' if self.files[0].description else "no description"
        noun = "slice" if count == 1 else "slices"
        return f"{self.uid} ({self.files[0].modality or 'no modality'}, {description}, {count} {noun})"


def read_series(files: Sequence[SourceFile], place: Path | str, series: str | None) -> tuple[Series, list[str]]:
    """Read all headers and pick the series.

    Parameters
    ----------
    files
        Candidates; what is no DICOM file is passed over.
    place
        Folder or archive that messages name.
    series
        SeriesInstanceUID or its unambiguous beginning; None where only one CT series is expected.

    Returns
    -------
    The series, and warnings.

    Raises
    ------
    InputError
        No DICOM file, no CT series, several to choose from, or a damaged file that may belong to the series.
    """
    headers: list[FileHeader] = []
    damaged: list[InputError] = []
    passed_over = 0
    for file in files:
        if not looks_like_dicom(file):
            if _claims_to_be_dicom(file):
                damaged.append(_no_dicom(file))
            passed_over += 1
            continue
        try:
            header = read_header(file)
        except InputError as error:
            damaged.append(error)
            continue
        if header is not None:
            headers.append(header)
    if not headers:
        if damaged:
            raise damaged[0]
        raise InputError(_nothing(passed_over), path=place, remedy="Give the folder that holds the slices of a CT.")
    chosen = _choose(_grouped(headers), place, series)
    if damaged and series is None:
        raise damaged[0]
    return chosen, [f"{error.path}: {error.finding}; passed over" for error in damaged]


def _claims_to_be_dicom(file: SourceFile) -> bool:
    return file.shown.lower().endswith((".dcm", ".dicom"))


def _no_dicom(file: SourceFile) -> InputError:
    empty = file.path.stat().st_size == 0
    finding = "an empty file (0 bytes)" if empty else "not a DICOM file, or one with a damaged beginning"
    return InputError(finding, path=file.shown, remedy="Copy or export it again from its source, or remove it.")


def _nothing(passed_over: int) -> str:
    if not passed_over:
        return "empty: no file in it"
    return f"no DICOM file in it ({passed_over} other {'file' if passed_over == 1 else 'files'})"


def _grouped(headers: list[FileHeader]) -> list[Series]:
    by_uid: dict[str, list[FileHeader]] = {}
    for header in headers:
        by_uid.setdefault(header.series_uid, []).append(header)
    return [Series(uid, tuple(files)) for uid, files in by_uid.items()]


def _choose(found: list[Series], place: Path | str, wanted: str | None) -> Series:
    listing = "; ".join(str(one) for one in sorted(found, key=lambda one: -len(one.slices)))
    if wanted is not None:
        exact = [one for one in found if one.uid == wanted]
        matching = exact or [one for one in found if one.uid.startswith(wanted)]
        if len(matching) != 1 or not wanted:
            finding = "no series" if not matching else f"{len(matching)} series"
            raise InputError(
                f"{finding} whose SeriesInstanceUID is or begins with {wanted!r}; it holds {listing}", path=place,
                remedy="Choose one of these with --series UID (read_ct(..., series=UID)).",
            )  # fmt: skip
        if matching[0].fault:
            raise _unusable(matching[0], place)
        return matching[0]
    usable = [one for one in found if not one.fault]
    if len(usable) == 1:
        return usable[0]
    if not usable:
        if len(found) == 1:
            raise _unusable(found[0], place)
        faults = "; ".join(f"{one}: {one.fault}" for one in found)
        raise InputError(f"no CT series in it: {faults}", path=place, remedy="Give the folder of a chest CT series.")
    choice = "; ".join(str(one) for one in sorted(usable, key=lambda one: -len(one.slices)))
    raise InputError(
        f"{len(usable)} CT series in it: {choice}", path=place,
        remedy="Choose one with --series UID (read_ct(..., series=UID)); the beginning of a UID will do.",
    )  # fmt: skip


def _unusable(series: Series, place: Path | str) -> InputError:
    path = series.files[0].file.shown if len(series.files) == 1 else place
    remedy = "Give a chest CT series with its slices."
    return InputError(f"series {series} cannot be used: {series.fault}", path=path, remedy=remedy)
