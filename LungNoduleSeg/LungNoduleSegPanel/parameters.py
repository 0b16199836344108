"""What the panel keeps in the scene."""

from typing import Annotated

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

DEFAULT_MODEL = "model-2-compact"
DEFAULT_SENSITIVITY = 50.0
DEFAULT_MINIMUM_DIAMETER_MM = 3.0


@parameterNodeWrapper
class LungNoduleSegParameterNode:
    """State of the panel, saved with the scene.

    inputVolume - the CT.
    segmentation - the nodules that are shown and added to; None: the next run makes a new one.
    model - name of the model; its combo box is bound by hand, because the list of models is only known at run time.
    device - "auto", "cpu", "cuda" or "mps".
    useRoi, roi - whether only a box is searched, and the box.
    sensitivity - place on the model's operating curve, 0 (only the surest) to 100 (every candidate).
    minimumDiameterMm - smaller nodules (diameter of the ball of equal volume) are left out.
    showProbability - whether a run keeps the probability of every voxel and shows it over the CT.
    threads - processor threads of a run; 0: all cores but one.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    model: str = DEFAULT_MODEL
    device: str = "auto"
    useRoi: bool = False
    roi: vtkMRMLMarkupsROINode
    sensitivity: Annotated[float, WithinRange(0, 100)] = DEFAULT_SENSITIVITY
    minimumDiameterMm: Annotated[float, WithinRange(0, 30)] = DEFAULT_MINIMUM_DIAMETER_MM
    showProbability: bool = False
    threads: Annotated[int, WithinRange(0, 256)] = 0
