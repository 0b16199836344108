"""A chest CT in Slicer's module Sample Data, for the tutorial and for trying the module."""

import logging
import os
from pathlib import Path

from slicer.i18n import tr as _

SAMPLE_NAME = "LungNoduleSegCT"
FILE_NAME = f"{SAMPLE_NAME}.nrrd"  # in Slicer's own cache of samples
LOCAL_FILE = "LUNGNODULESEG_SAMPLE_CT"  # environment variable: the file lung1_image.nrrd on this computer
# pyradiomics' test image lung1. The address names the commit that the source archive of pyradiomics 3.0.1 on the Python
# package index was made from (radiomics/_version.py in it), so that it stays the file whose SHA-256 the library has for
# `make demo`: computed from data/lung1_image.nrrd of that archive. SlicerRadiomics' test data release (TestData-v1.0.0)
# holds a lung1_image.nrrd too; no checksum of it is published, so it could not be told from a damaged file.
COMMIT = "08bea7067e350303eead533b471aa60697b3b8c3"
URI = f"https://raw.githubusercontent.com/AIM-Harvard/pyradiomics/{COMMIT}/data/lung1_image.nrrd"
SIZE_BYTES = 12_548_518
THUMBNAIL = Path(__file__).resolve().parents[1] / "Resources" / "Icons" / f"{SAMPLE_NAME}.png"


def category():
    """Title of the section in the module Sample Data."""
    return _("Lung Nodule Segmentation")


def register():
    """Make the CT known to the module Sample Data; call once the application has started.

    A copy on this computer is taken instead of the address, so that it works without network. Sample Data compares the
    SHA-256 in either case. Registering again replaces the entry. Nothing happens in an application without Sample Data.
    """
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        logging.info("LungNoduleSeg: this application has no module Sample Data; the sample CT is left out.")
        return
    from LungNoduleSegLib.cli.sample_data import MEMBERS

    present = SampleDataLogic.sampleDataSourcesByCategory(category())
    present[:] = [source for source in present if source.sampleName != SAMPLE_NAME]
    local = localCopy()
    SampleDataLogic.registerCustomSampleDataSource(
        category=category(),
        sampleName=SAMPLE_NAME,
        uris=URI if local is None else local.as_uri(),
        fileNames=FILE_NAME,
        nodeNames=SAMPLE_NAME,
        thumbnailFileName=str(THUMBNAIL),
        loadFileType="VolumeFile",
        checksums=f"SHA256:{MEMBERS['lung1_image.nrrd']}",
    )


def localCopy():
    """Path of the CT on this computer: what LUNGNODULESEG_SAMPLE_CT names, else what `make demo` fetched; or None.

    Only its size is looked at, so that Slicer's start stays fast.
    """
    from LungNoduleSegLib.cli.sample_data import cache_folder

    if named := os.environ.get(LOCAL_FILE):
        path = Path(named).expanduser()
        size = _size(path)
        if size == SIZE_BYTES:
            return path.absolute()
        logging.warning(
            "LungNoduleSeg: %s names %s, which is not the sample CT (%s instead of %d bytes); it is left out.",
            LOCAL_FILE, path, "no file" if size is None else size, SIZE_BYTES,
        )  # fmt: skip
    path = cache_folder() / "lung1_image.nrrd"
    return path.absolute() if _size(path) == SIZE_BYTES else None


def _size(path):
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None
