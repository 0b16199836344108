"""A small made-up source: a CT of twelve slices as DICOM with two nodules, and public crops."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

from LungNoduleSegLib.ct import CT
from Testing.slicer_harness.dicom_series import write_series
from Testing.training.synthetic import TRAIN, annotated_scan, annotation, box_outline, contour
from training.lidc.database import Scan

SHAPE = (12, 160, 170)


def made_ct(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> CT:
    """Air-like noise, slices at z = 0, 1, 2, ... mm, pixels of 0.7 mm; two boxes of tissue."""
    hu = np.random.default_rng(seed).integers(-900, -800, size=shape).astype(np.int16)
    hu[3:6, 61:69, 71:79] = 40
    hu[8, 100:106, 100:106] = 60
    return CT.from_array(hu, spacing_mm=(1.0, 0.7, 0.7))


def outlined(series: str, patient: str = TRAIN, first_id: int = 1) -> Scan:
    """The annotations of `made_ct`: a nodule of three readers (slices 3 to 5), and one of one reader (slice 8)."""
    box = box_outline(60, 70, 10, 10)
    larger = box_outline(59, 69, 12, 12)
    readers = [
        annotation(first_id, *(contour(z, box) for z in (3, 4, 5))),
        annotation(first_id + 1, *(contour(z, box) for z in (3, 4))),
        annotation(first_id + 2, contour(4, larger)),
        annotation(first_id + 3, contour(8, box_outline(99, 99, 8, 8))),
    ]
    return annotated_scan(*readers, slices=SHAPE[0], patient=patient, series=series)


def dicom_source(folder: Path, seed: int = 3, patient: str = TRAIN) -> tuple[CT, Scan, list[Path]]:
    """`made_ct` as DICOM in ``folder``, its annotations, and its files by ascending z."""
    ct = made_ct(seed)
    paths = write_series(folder, ct, seed)
    headers = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in paths}
    paths.sort(key=lambda p: float(headers[p].ImagePositionPatient[2]))
    scan = outlined(str(headers[paths[0]].SeriesInstanceUID), patient, first_id=10 * seed)
    return ct, replace(scan, id=seed), paths


def public_source(folder: Path, patients: dict[str, Scan]) -> None:
    """One nodule of two slices for each patient, and the table of series."""
    rows = []
    for number, (patient, scan) in enumerate(patients.items()):
        place = folder / "LIDC-IDRI-slices" / patient / "nodule-0"
        for name, value in (("images", None), ("mask-0", 255), ("mask-1", 255), ("mask-2", 0), ("mask-3", 0)):
            (place / name).mkdir(parents=True)
            for k in range(2):
                plane = np.random.default_rng([number, k]).integers(0, 256, (128, 128)).astype(np.uint8)
                if value is not None:
                    plane = np.zeros((128, 128), np.uint8)
                    plane[61:69, 61:69] = value
                Image.fromarray(plane).save(place / name / f"slice-{k}.png")
        rows.append((patient, "nodule-0", scan.series_uid, scan.annotations[0].id, 0.7))
    with (folder / "lidc_crops.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("patient", "nodule_dir", "series_instance_uid", "annotation_id", "pixel_spacing"))
        writer.writerows(rows)
