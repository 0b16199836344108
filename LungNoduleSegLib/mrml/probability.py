"""The probability of every voxel as a coloured volume over the CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk

from LungNoduleSegLib.errors import InputError

from .geometry import set_voxels
from .hierarchy import place_beside
from .transaction import SceneTransaction

ROLE = "LungNoduleSeg.Probability"
"""The CT refers to the volume that shows its probability, so that a loaded scene knows it."""

LEAST_SHOWN = 0.1
"""Lower probabilities are transparent: nearly all of a CT is."""

OPACITY = 0.5


@dataclass(frozen=True)
class Kind:
    """What a volume of percent shows.

    ``role`` by which the CT refers to it; ``name`` is added to the CT's; ``legend`` is the name of the legend's node,
    ``title`` its text; ``least`` is the lowest value that is shown, ``top`` the highest of the colours (0..1).
    """

    role: str
    name: str
    legend: str
    title: str
    least: float
    top: float


PROBABILITY = Kind(ROLE, "nodule probability", "Nodule probability legend", "Probability (%)", LEAST_SHOWN, 1.0)

# Shares of a view: in the upper right corner. Its text is as large as the size allows, whatever its font size says.
_LEGEND_SIZE, _LEGEND_POSITION = (0.08, 0.22), (0.98, 0.85)
# From dark to bright. The application reads the first from a file; the second is built in.
_COLOURS = ("Inferno", "Iron")


def show_probability(values: np.ndarray, volume_node):
    """Show probabilities over their CT, in the volume that showed earlier ones of this CT if there is one.

    Parameters
    ----------
    values
        [k, j, i] on the grid of `volume_node`, 0..1, any floating dtype; kept as percent in uint8.

    Returns
    -------
    The volume node; values are percent.

    Raises
    ------
    InputError
        If they are not on the grid of the CT. Whatever the error: the scene is then as it was before.
    """
    return show_percent(values, volume_node, PROBABILITY)


def show_percent(values: np.ndarray, volume_node, kind: Kind):
    """Show values over their CT as percent: what `show_probability` does, for any kind.

    ``values`` float [k, j, i], 0..1, NaN shown as 0; returns the volume node. InputError for another grid.
    """
    image = volume_node.GetImageData()
    shape = None if image is None else tuple(reversed(image.GetDimensions()))
    if shape != tuple(values.shape):
        raise InputError(f"the {kind.name} has {tuple(values.shape)} voxels [k, j, i], the CT has {shape}")
    percent = np.empty(values.shape, np.uint8)
    for k, plane in enumerate(values):  # slice by slice: no float copy of the whole volume
        percent[k] = np.rint(np.clip(np.nan_to_num(plane.astype(np.float32)), 0.0, 1.0) * 100)
    scene = volume_node.GetScene()
    node = volume_node.GetNodeReference(kind.role)
    with SceneTransaction(scene) as transaction:
        made = vtk.vtkImageData()
        set_voxels(made, percent)
        if node is None:
            node = transaction.add("vtkMRMLScalarVolumeNode", f"{volume_node.GetName()} {kind.name}")
            place_beside(scene, node, volume_node)
            transaction.on_error(lambda: volume_node.SetNodeReferenceID(kind.role, None))
            volume_node.SetNodeReferenceID(kind.role, node.GetID())
        matrix = vtk.vtkMatrix4x4()
        volume_node.GetIJKToRASMatrix(matrix)
        node.SetIJKToRASMatrix(matrix)
        node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        node.SetAndObserveImageData(made)
        node.SetVoxelValueUnits(_percent_units())
        _colour(transaction, scene, node, kind)
    show_again(node, True)
    return node


def find_probability(volume_node):
    """The volume that shows the probability of a CT, or None."""
    return volume_node.GetNodeReference(ROLE)


def show_again(probability_node, on: bool) -> None:
    """Lay the volume over the CT in all slice views, with its legend, or take it away, where it is not so already."""
    scene = probability_node.GetScene()
    wanted = probability_node.GetID() if on else None
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(number, "vtkMRMLSliceCompositeNode")
        shown = composite.GetForegroundVolumeID()
        if on and shown != wanted:
            composite.SetForegroundVolumeID(wanted)
            composite.SetForegroundOpacity(OPACITY)
        elif not on and shown == probability_node.GetID():
            composite.SetForegroundVolumeID(None)
    legend = _legend_of(probability_node)
    if legend is not None and bool(legend.GetVisibility()) != on:
        legend.SetVisibility(on)


def hide_probability(probability_node) -> None:
    """Take the volume off the views; it stays in the scene."""
    show_again(probability_node, False)


def _percent_units():
    units = slicer.vtkCodedEntry()
    units.SetValueSchemeMeaning("%", "UCUM", "percent")
    return units


def _colour(transaction: SceneTransaction, scene, node, kind: Kind) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    for name in _COLOURS:
        colours = scene.GetFirstNodeByName(name)
        if colours is not None and colours.IsA("vtkMRMLColorNode"):
            display.SetAndObserveColorNodeID(colours.GetID())
            break
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 100 * kind.top)
    display.SetApplyThreshold(True)
    display.SetThreshold(100 * kind.least, 100)
    if _legend_of(node) is None:
        _add_legend(transaction, node, kind)


def _legend_of(node):
    for number in range(node.GetNumberOfDisplayNodes()):
        display = node.GetNthDisplayNode(number)
        if display is not None and display.IsA("vtkMRMLColorLegendDisplayNode"):
            return display
    return None


def _add_legend(transaction: SceneTransaction, node, kind: Kind) -> None:
    legend = transaction.add("vtkMRMLColorLegendDisplayNode", kind.legend)
    legend.SetAndObserveColorNodeID(node.GetDisplayNode().GetColorNodeID())
    legend.SetTitleText(kind.title)
    legend.SetLabelFormat("%.0f")
    legend.SetNumberOfLabels(3)
    legend.SetSize(*_LEGEND_SIZE)
    legend.SetPosition(*_LEGEND_POSITION)
    node.AddAndObserveDisplayNodeID(legend.GetID())
