"""From components to measured nodules: geometry, axes, attenuation, side and the table."""

from LungNoduleSegLib.nodules.bands import GUIDELINES, SizeBand, fleischner_2017, lung_rads_2022
from LungNoduleSegLib.nodules.components import Component, components, fill_cavities, hysteresis_components
from LungNoduleSegLib.nodules.measure import measure_nodule
from LungNoduleSegLib.nodules.nodule import ATTENUATIONS, SIDES, Nodule, equivalent_diameter_mm, new_uid
from LungNoduleSegLib.nodules.side import SideFinder, lungs_midline, nodule_side
from LungNoduleSegLib.nodules.table import COLUMNS, read_csv, rows, write_csv

__all__ = [
    "ATTENUATIONS",
    "COLUMNS",
    "GUIDELINES",
    "SIDES",
    "Component",
    "Nodule",
    "SideFinder",
    "SizeBand",
    "components",
    "equivalent_diameter_mm",
    "fill_cavities",
    "fleischner_2017",
    "hysteresis_components",
    "lung_rads_2022",
    "lungs_midline",
    "measure_nodule",
    "new_uid",
    "nodule_side",
    "read_csv",
    "rows",
    "write_csv",
]
