"""From components to measured nodules: geometry, axes, attenuation, side and the table."""

from LungNoduleSegLib.nodules.components import Component, components, fill_cavities, hysteresis_components
from LungNoduleSegLib.nodules.measure import measure_nodule
from LungNoduleSegLib.nodules.nodule import ATTENUATIONS, Nodule, equivalent_diameter_mm, new_uid

__all__ = [
    "ATTENUATIONS",
    "Component",
    "Nodule",
    "components",
    "equivalent_diameter_mm",
    "fill_cavities",
    "hysteresis_components",
    "measure_nodule",
    "new_uid",
]
