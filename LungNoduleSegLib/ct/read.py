"""The one door for every CT that is read from disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path

from LungNoduleSegLib.ct.dicom import read_dicom
from LungNoduleSegLib.ct.files import SUFFIXES, is_image_file, read_image
from LungNoduleSegLib.ct.headers import looks_like_dicom
from LungNoduleSegLib.ct.sources import SourceFile, from_paths, unpacked
from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError

AnyPath = str | PathLike[str]


def read_ct(path: AnyPath | Sequence[AnyPath], *, series: str | None = None) -> CT:
    """Read a CT.

    Parameters
    ----------
    path
        A folder with DICOM files (searched with its sub-folders; other files are passed over), a list of DICOM files,
        a zip of them, or one NRRD, NIfTI or MetaImage file in HU.
    series
        SeriesInstanceUID, or its unambiguous beginning, where the files hold several CT series.

    Returns
    -------
    CT
        HU as int16 [k, j, i]; what lies below -1024 HU, and DICOM pixel padding, is -1024. ``warnings`` says what was
        found and tolerated.

    Raises
    ------
    InputError
        Missing path, empty folder, several series, a localizer, MR or other modality, colour or 4-D images, damaged or
        truncated files, missing or repeated slices, uneven gaps, a tilted gantry, values that are no HU. The message
        names the file, what was found and what to do.
    """
    ct = _read(path, series)
    if ct.slice_orientation == "axial":
        return ct
    warning = f"slices are {ct.slice_orientation}, not axial: the networks have learned axial slices only"
    return replace(ct, warnings=(*ct.warnings, warning))


def _read(path: AnyPath | Sequence[AnyPath], series: str | None) -> CT:
    if isinstance(path, (str, PathLike)):
        return _read_one(Path(fspath(path)), series)
    paths = [Path(fspath(one)) for one in path]
    if not paths:
        raise InputError("Expected argument `path` to name at least one file, got an empty list")
    if len(paths) == 1:
        return _read_one(paths[0], series)
    place = Path(_common_folder(paths))
    return read_dicom(from_paths(paths), place, series=series)


def _read_one(path: Path, series: str | None) -> CT:
    if not path.exists():
        raise InputError("no such file or folder", path=path, remedy="Check the spelling of the path.")
    if path.is_dir():
        files = from_paths([path])
        images = [file.path for file in files if is_image_file(file.path)]
        if images and not any(looks_like_dicom(file) for file in files):
            raise InputError(
                f"no DICOM file in it, but {len(images)} image {'file' if len(images) == 1 else 'files'} "
                f"such as {images[0].name}",
                path=path,
                remedy="Give the path of the image file itself.",
            )
        return read_dicom(files, path, series=series)
    if path.stat().st_size == 0:
        raise InputError("an empty file (0 bytes)", path=path, remedy="Copy or download it again.")
    if is_image_file(path):
        return read_image(path)
    file = SourceFile(path, str(path))
    if looks_like_dicom(file):
        return read_dicom([file], path, series=series)
    if _is_zip(path):
        with unpacked(path) as files:
            # The unpacked copies are gone afterwards, so the archive itself is the source.
            return replace(read_dicom(files, path, series=series), source=(path,))
    raise InputError(
        "neither DICOM, nor a zip, nor a known image file", path=path,
        remedy=f"Give a DICOM folder, a zip of it, or a file ending in {', '.join(SUFFIXES)}.",
    )  # fmt: skip


def _is_zip(path: Path) -> bool:
    with path.open("rb") as opened:
        return opened.read(2) == b"PK" or path.suffix.lower() == ".zip"


def _common_folder(paths: Sequence[Path]) -> str:
    from os.path import commonpath

    try:
        return commonpath([path.absolute().parent for path in paths])
    except ValueError:  # different drives
        return str(paths[0].parent)
