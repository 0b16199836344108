"""What the views show: jump to a nodule, highlight its point."""

from __future__ import annotations

from collections.abc import Sequence

import vtk

INNER = 0.1
"""A place within this share of a view's edge counts as out of sight."""


def jump_to(scene, ras: Sequence[float]) -> None:
    """Let every slice view go through a place, and every 3D view look at it from where it stands.

    A slice view is moved sideways only where the place would not be in sight: what the user has panned to stays.

    Parameters
    ----------
    ras
        (x, y, z) in world RAS mm.
    """
    x, y, z = (float(value) for value in ras)
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceNode")):
        node = scene.GetNthNodeByClass(number, "vtkMRMLSliceNode")
        if _in_sight(node, (x, y, z)):
            node.JumpSliceByOffsetting(x, y, z)
        else:
            node.JumpSliceByCentering(x, y, z)
    for number in range(scene.GetNumberOfNodesByClass("vtkMRMLCameraNode")):
        camera = scene.GetNthNodeByClass(number, "vtkMRMLCameraNode")
        focal, position = camera.GetFocalPoint(), camera.GetPosition()
        camera.SetPosition(x + position[0] - focal[0], y + position[1] - focal[1], z + position[2] - focal[2])
        camera.SetFocalPoint(x, y, z)
        camera.ResetClippingRange()


def _in_sight(slice_node, ras: tuple[float, float, float]) -> bool:
    to_xy = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(slice_node.GetXYToRAS(), to_xy)
    place, size = to_xy.MultiplyPoint((*ras, 1.0)), slice_node.GetDimensions()
    return all(INNER * n <= v <= (1 - INNER) * n for v, n in zip(place[:2], size[:2]))


def highlight_point(points_node, uid: str) -> bool:
    """Show the point of one nodule as the selected one, all others as not selected.

    Parameters
    ----------
    points_node
        Points with the nodules' UIDs as descriptions.
    uid
        Empty: none is highlighted.

    Returns
    -------
    bool
        Whether there is a point of this nodule.
    """
    found = False
    for number in range(points_node.GetNumberOfControlPoints()):
        is_it = bool(uid) and points_node.GetNthControlPointDescription(number) == uid
        found |= is_it
        if bool(points_node.GetNthControlPointSelected(number)) != is_it:
            points_node.SetNthControlPointSelected(number, is_it)
    return found
