"""A small CT series as DICOM files, in an order that file names do not tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from LungNoduleSegLib.ct import CT


def write_series(folder: Path, ct: CT, seed: int = 3) -> list[Path]:
    """Write `ct` slice by slice; file names and instance numbers are shuffled, positions are right."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = np.random.default_rng(seed).permutation(ct.shape[0])
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(ct.ijk_to_ras)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    study, series, frame = (generate_uid(entropy_srcs=[str(seed), part]) for part in ("study", "series", "frame"))
    paths = []
    for k in range(ct.shape[0]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(seed), "slice", str(k)])
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"{shown[k]:04d}.dcm"
        header = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
        header.Modality, header.PatientID, header.PatientName = "CT", "sample", "Sample^"
        header.PatientBirthDate = header.PatientSex = header.AccessionNumber = header.StudyID = ""
        header.StudyDate, header.StudyTime, header.ReferringPhysicianName = "20200101", "120000", ""
        header.Manufacturer, header.PositionReferenceIndicator = "", ""
        header.SeriesNumber, header.InstanceNumber = 2, int(shown[k]) + 1
        header.ImagePositionPatient = [f"{value:.9g}" for value in (lps @ [0, 0, k, 1])[:3]]
        directions = (lps[:3, :2] / spacing[:2]).T.ravel()
        header.ImageOrientationPatient = [f"{value:.12g}" for value in directions]
        header.PixelSpacing = [f"{spacing[1]:.9g}", f"{spacing[0]:.9g}"]
        header.SliceThickness = f"{spacing[2]:.9g}"
        header.Rows, header.Columns = ct.shape[1:]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
        header.RescaleIntercept, header.RescaleSlope = 0, 1
        header.PixelData = np.ascontiguousarray(ct.hu[k]).tobytes()
        header.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths
