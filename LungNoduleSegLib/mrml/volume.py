"""A CT and a volume node: each from the other, voxel for voxel."""

from __future__ import annotations

import numpy as np
import vtk

from LungNoduleSegLib.ct import CT
from LungNoduleSegLib.errors import InputError

from .geometry import set_voxels, volume_to_world, voxels, vtk_matrix
from .hierarchy import dicom_uid, set_dicom_uid, study_uid
from .transaction import SceneTransaction

# The radiologist's lung window, in HU.
LUNG_WINDOW, LUNG_LEVEL = 1500.0, -600.0


def volume_from_ct(ct: CT, scene, name: str = "CT"):
    """Add `ct` to `scene` as a scalar volume node with a lung window, and return the node.

    The node's IJKToRAS is the CT's; the series UID is kept as the DICOM UID of its subject hierarchy item. Nothing
    stays in the scene if this fails.
    """
    with SceneTransaction(scene) as transaction:
        node = transaction.add("vtkMRMLScalarVolumeNode", name)
        image = vtk.vtkImageData()
        set_voxels(image, np.asarray(ct.hu))
        node.SetAndObserveImageData(image)
        node.SetIJKToRASMatrix(vtk_matrix(ct.ijk_to_ras))
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        grey = scene.GetFirstNodeByName("Grey")
        if grey is not None and grey.IsA("vtkMRMLColorNode"):
            display.SetAndObserveColorNodeID(grey.GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(LUNG_WINDOW, LUNG_LEVEL)
        if ct.series_uid:
            set_dicom_uid(scene, node, ct.series_uid)
    return node


def ct_from_volume(volume_node) -> CT:
    """Read a volume node as a CT: a copy of its voxels as int16 HU [k, j, i], with the geometry in world RAS mm.

    Parent transforms are part of ``ijk_to_ras``, so that positions are the ones that Slicer's views show.

    Raises
    ------
    InputError
        If the node has no voxels, is a label map, has more than one component, or is under a transform that is not
        linear or shears it.
    """
    if volume_node is None or not volume_node.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(
            "no CT volume is chosen" if volume_node is None else f"{volume_node.GetName()!r} is not a volume"
        )
    name = volume_node.GetName()
    if volume_node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(f"{name!r} is a label map, not a CT", remedy="Choose the CT that it was drawn on.")
    image = volume_node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"the volume {name!r} holds no voxels", remedy="Load the CT again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"the volume {name!r} has {image.GetNumberOfScalarComponents()} components a voxel; a CT has one"
        )
    return CT.from_array(
        voxels(image),
        ijk_to_ras=volume_to_world(volume_node),
        series_uid=dicom_uid(volume_node.GetScene(), volume_node),
        study_uid=study_uid(volume_node.GetScene(), volume_node),
    )
