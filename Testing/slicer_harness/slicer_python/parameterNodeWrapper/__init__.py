"""``@parameterNodeWrapper`` for the types that the panel uses: nodes, str, int, float, bool.

Compatible with Slicer's: values live in the module's node as parameters (nodes as references), widgets are found by the
dynamic property ``SlicerParameterName``, and ``Annotated`` values may have ``WithinRange``, ``Minimum``, ``Maximum``,
``Choice`` or ``Default``.
"""

from __future__ import annotations

from .connectors import Decimals, GuiConnector, SingleStep, createGuiConnector
from .validators import Choice, Maximum, Minimum, NotNone, Validator, WithinRange
from .wrapper import Default, SlicerParameterNamePropertyName, isParameterNodeWrapper, parameterNodeWrapper

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "GuiConnector",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "SlicerParameterNamePropertyName",
    "Validator",
    "WithinRange",
    "createGuiConnector",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
