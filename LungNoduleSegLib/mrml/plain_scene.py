"""A scene in a plain Python process, enough to write and read nodules, without the application."""

from __future__ import annotations

import tempfile

import slicer
from vtkmodules.vtkCommonCore import vtkCollection

# These register the node classes and the conversions between representations of a segment.
_LOGICS = {
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
}


class PlainScene:
    """A scene of its own with the logics that it needs; ``slicer.mrmlScene`` is neither used nor set.

    A context manager: it gives the scene, and empties it at the end.
    """

    def __init__(self) -> None:
        self.scene = slicer.vtkMRMLScene()
        self._cache = tempfile.TemporaryDirectory(prefix="lungnoduleseg-scene-")
        self._application = slicer.vtkSlicerApplicationLogic()
        self._application.SetMRMLScene(self.scene)
        self._application.SetSliceLogics(vtkCollection())
        self._application.SetViewLogics(vtkCollection())
        self._colors = self._application.GetColorLogic()
        self._colors.SetMRMLScene(self.scene)
        self._colors.AddDefaultColorNodes()
        self._remote = slicer.vtkMRMLRemoteIOLogic()  # reading an .mrb goes through it
        self._remote.GetCacheManager().SetRemoteCacheDirectory(self._cache.name)
        self._remote.SetMRMLScene(self.scene)
        self._remote.AddDataIOToScene()
        self._logics = []
        for name, class_name in _LOGICS.items():
            logic = getattr(slicer, class_name)()
            logic.SetMRMLApplicationLogic(self._application)
            logic.SetMRMLScene(self.scene)
            self._application.SetModuleLogic(name, logic)
            self._logics.append(logic)

    def __enter__(self):
        return self.scene

    def __exit__(self, error_type, error, traceback) -> None:
        self.scene.Clear(True)
        self._cache.cleanup()
