"""How far the views of a place disagree, as a coloured volume over the CT."""

from __future__ import annotations

import numpy as np

from .probability import Kind, show_percent

ROLE = "LungNoduleSeg.Uncertainty"
"""The CT refers to the volume that shows its uncertainty, so that a loaded scene knows it."""

LARGEST = 0.5
"""Half of the views say 0, the other half 1."""

LEAST_SHOWN = 0.05
"""Smaller ones are transparent: they are everywhere."""

UNCERTAINTY = Kind(
    ROLE, "nodule uncertainty", "Nodule uncertainty legend", "Spread of the views (%)", LEAST_SHOWN, LARGEST
)


def show_uncertainty(values: np.ndarray, volume_node):
    """Show what ``Result.uncertainty`` gives over its CT, as `show_probability` shows the probability.

    Parameters
    ----------
    values
        [k, j, i] on the grid of `volume_node`, 0..0.5, any floating dtype; kept as percent in uint8, where fewer than
        two views looked (NaN) as 0.

    Returns
    -------
    The volume node; values are percent.

    Raises
    ------
    InputError
        If they are not on the grid of the CT. Whatever the error: the scene is then as it was before.
    """
    return show_percent(values, volume_node, UNCERTAINTY)


def find_uncertainty(volume_node):
    """The volume that shows the uncertainty of a CT, or None."""
    return volume_node.GetNodeReference(ROLE)
