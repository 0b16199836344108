"""The figures that LIDC-IDRI's annotations are known by; `training.lidc.facts` counts them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published figure: its key, what it counts, its value, and how many decimals it was published with."""

    key: str
    what: str
    value: float
    decimals: int = 0


PUBLISHED = (
    Published("scans", "scans", 1018),
    Published("patients", "patients", 1010),
    Published("annotations", "annotations (one reader's nodule of 3 mm or more)", 6859),
    Published("contours", "contours", 41_406),
    Published("slices", "slices", 243_945),
    Published("nodules", "nodules (clusters of annotations)", 2651),
    Published("nodules_1_reader", "  marked by 1 reader", 771),
    Published("nodules_2_readers", "  by 2 readers", 488),
    Published("nodules_3_readers", "  by 3 readers", 481),
    Published("nodules_4_readers", "  by 4 readers", 897),
    Published("nodules_more_readers", "  more (cannot be taken apart)", 14),
    Published("patients_with_nodule", "patients with a nodule", 875),
    Published("patients_without_nodule", "patients without", 135),
    Published("spacing_min_mm", "in-plane spacing, least, mm", 0.461, 3),
    Published("spacing_max_mm", "in-plane spacing, greatest, mm", 0.977, 3),
    Published("spacing_mean_mm", "in-plane spacing, mean, mm", 0.688, 3),
    Published("thickness_min_mm", "slice thickness, least, mm", 0.6, 1),
    Published("thickness_max_mm", "slice thickness, greatest, mm", 5.0, 1),
    Published("box_median_px", "longer side of a nodule's box on a slice, median, px", 10),
    Published("box_95_px", "  95 % of the images up to", 35),
    Published("box_99_px", "  99 %", 47),
    Published("box_max_px", "  greatest", 71),
    Published("thesis_images", "one image per (nodule, slice), area > 8 px: images", 13_916),
    Published("thesis_nodules", "  nodules", 2619),
    Published("thesis_patients", "  patients", 875),
    Published("any_images", "one image per (nodule, slice), area > 0: images", 14_600),
    Published("any_nodules", "  nodules", 2625),
    Published("any_patients", "  patients", 875),
    Published("slice_any_images", "one image per slice, area > 0: images", 13_586),
    Published("slice_any_patients", "  patients", 875),
    Published("slice_images", "one image per slice, area > 8 px: images", 12_997),
    Published("slice_patients", "  patients", 875),
    Published("three_images", "at least 3 readers, (nodule, slice), area > 8 px: images", 8525),
    Published("three_nodules", "  nodules", 1379),
    Published("three_patients", "  patients", 696),
    Published("clean_images", "clean: the 51 caudal slices of each patient without nodule: images", 6885),
    Published("clean_patients", "  patients", 135),
    Published("test_positive", "20 % of the slices with nodule, rounded down", 2717),
    Published("test_clean", "20 % of the clean slices, rounded down", 1377),
    Published("test_images", "the two together: the thesis' test set", 4094),
    Published("test_of_all", "20 % of all slices, rounded down", 4094),
)
