"""``@parameterNodeWrapper`` for the types that the panel uses: nodes, str, int, float, bool.

Compatible with Slicer's: values live in the module's node as parameters (nodes as references), widgets are found by the
dynamic property ``SlicerParameterName``, and ``Annotated`` values may have ``WithinRange``, ``Minimum``, ``Maximum`` or
``Choice``.
"""

from __future__ import annotations

from .validators import Choice, Maximum, Minimum, WithinRange
from .wrapper import parameterNodeWrapper

__all__ = ["Choice", "Maximum", "Minimum", "WithinRange", "parameterNodeWrapper"]
