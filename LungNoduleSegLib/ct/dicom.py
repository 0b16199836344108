"""A CT volume from DICOM files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from LungNoduleSegLib.ct.pixels import read_hu
from LungNoduleSegLib.ct.plausible import check_values
from LungNoduleSegLib.ct.series import Series, read_series
from LungNoduleSegLib.ct.sources import SourceFile
from LungNoduleSegLib.ct.stack import stack
from LungNoduleSegLib.ct.volume import CT
from LungNoduleSegLib.errors import InputError


def read_dicom(files: Sequence[SourceFile], place: Path, *, series: str | None = None) -> CT:
    """The one CT series among ``files`` (or the one that ``series`` names) as a volume.

    Parameters
    ----------
    files
        Candidates in any order; what is no DICOM file is passed over.
    place
        Folder or archive that messages name.
    series
        SeriesInstanceUID or its unambiguous beginning.

    Raises
    ------
    InputError
        See :func:`LungNoduleSegLib.ct.read.read_ct`.
    """
    chosen, warnings = read_series(files, place, series)
    _check_units(chosen)
    if chosen.localizers:
        names = ", ".join(one.shown for one in chosen.localizers[:3])
        warnings.append(f"localizer (scout view) left out: {names}")
    stacked = stack(chosen.slices, place)
    hu, pixel_warnings = read_hu(stacked.slices)
    check_values(hu, place)
    sources = tuple(dict.fromkeys(Path(one.file.shown) for one in stacked.slices))
    return CT(
        hu,
        stacked.ijk_to_ras,
        series_uid=chosen.uid,
        study_uid=chosen.files[0].study_uid,
        info=chosen.files[0].info,
        source=sources,
        warnings=(*warnings, *stacked.warnings, *pixel_warnings),
    )


def _check_units(series: Series) -> None:
    units = Counter(one.rescale_type for one in series.slices if one.rescale_type not in ("", "HU", "HU_MOD", "US"))
    if units:
        unit, _ = units.most_common(1)[0]
        bad = next(one for one in series.slices if one.rescale_type == unit)
        raise InputError(
            f"values in {unit}, not HU (RescaleType)", path=bad.shown,
            remedy="Give the reconstruction in Hounsfield units; maps of dual-energy CT cannot be used.",
        )  # fmt: skip
