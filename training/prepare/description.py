"""What was done to the data, in words and numbers: ``dataset.json``, and a part of every model card."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from LungNoduleSegLib import __version__
from LungNoduleSegLib.inference.normalise import CLIP_HU
from training.data.convention import CROP_PX
from training.data.other_nodules import MARGIN_PX
from training.data.scans import SMALL_NODULE_MARGIN_MM
from training.data.split import describe
from training.lidc.consensus import AGREEMENT, MIN_PIXELS

KIND_NAMES = {
    "dicom": "complete scans of LIDC-IDRI (DICOM)",
    "box": "scans of LIDC-IDRI cropped to the lungs",
    "public": "public crops (LIDC-IDRI slices)",
    "clean": "caudal slices of patients without nodules",
    "pair": "cases of the user (CT and segmentation)",
}


def rules() -> dict[str, Any]:
    """What is done to any data, whatever its source."""
    return {
        "hu": {
            "clip": list(CLIP_HU),
            "padding": f"below {CLIP_HU[0]} HU, pixel padding, and what lies outside the image: {CLIP_HU[0]} HU (air)",
        },
        "crops": {
            "size_px": CROP_PX,
            "spacing": "native pixels and native slices, not resampled",
            "place": "floor of the mean contour point of the annotation with most contours at pixel (64, 64), moved "
            "into the slice; the same for all slices of a nodule",
            "slices": "every slice that any reader outlined (public crops: those of that annotation)",
            "intensity": "8 bits, min-max of HU in each crop: trunc((HU - min) * (255 / (max - min)) + 0.5)",
        },
        "normalisation": "in training, of each tile on its own: see the model's preprocessing",
        "consensus": {
            "agreement": AGREEMENT,
            "readers": "those of the cluster whose mask is not empty",
            "positive": f"more than {MIN_PIXELS} px; 1 to {MIN_PIXELS} px is neither positive nor negative",
        },
        "left_out_of_the_loss": {
            "other_nodules": f"annotated nodules that are not a crop's own, and {MARGIN_PX} px around them",
            "small_nodules": f"{SMALL_NODULE_MARGIN_MM:g} mm around marks of nodules under 3 mm, in scans",
        },
        "split": describe(),
    }


def describe_dataset(
    items: Sequence[dict[str, Any]],
    crops: dict[str, Any],
    skipped: Sequence[dict[str, str]],
    missing: dict[str, Any],
    sides: dict[str, dict[str, int]],
    marks: bool,
) -> dict[str, Any]:
    """``dataset.json``."""
    return {
        **rules(),
        "marks_of_small_nodules": "given" if marks else "not given: nothing is left out near nodules under 3 mm",
        "sources": {name: _counts([i for i in items if i["kind"] == kind]) for kind, name in KIND_NAMES.items()
                    if any(i["kind"] == kind for i in items)},
        "crops_in_all": {"crops": crops["count"], "nodules": crops["nodules"], "sides": sides},
        "images_sha256": crops["files"].get("images.npy", {}).get("sha256", ""),
        "skipped": list(skipped),
        "missing": missing,
        "remarks": {i["key"]: i["remarks"] for i in items if i.get("remarks")},
        "versions": versions(),
    }  # fmt: skip


def for_card(description: dict[str, Any]) -> dict[str, Any]:
    """The part that a model card carries: no lists that grow with the data."""
    kept = {name: value for name, value in description.items() if name not in ("skipped", "remarks", "missing")}
    kept["skipped"] = len(description.get("skipped", ()))
    return kept


def versions() -> dict[str, str]:
    """Of what the result depends on."""
    found = {"LungNoduleSeg": __version__, "python": platform.python_version()}
    for name in ("numpy", "scipy", "matplotlib", "pydicom", "SimpleITK", "highdicom", "pylidc"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def _counts(items: Sequence[dict[str, Any]]) -> dict[str, int]:
    counts = {"items": len(items), "patients": len({i["patient"] for i in items})}
    counts |= {"crops": sum(i["crops"] for i in items), "cut_off": sum(i.get("cut_off", 0) for i in items)}
    counts["complete_scans"] = sum("scan" in i for i in items)
    counts["slices"] = sum(i["scan"]["shape"][0] for i in items if "scan" in i) + sum(i.get("slices", 0) for i in items)
    return counts
