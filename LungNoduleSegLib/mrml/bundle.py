"""A result as a Slicer scene in one file (.mrb), from a plain Python process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from LungNoduleSegLib.errors import InputError

from .files import written_beside

if TYPE_CHECKING:
    from LungNoduleSegLib.segmenter import Result


def slicer_is_here() -> bool:
    """Whether Slicer's scene classes can be imported: in Slicer itself, or with the package slicer-core."""
    try:
        import slicer
        import vtk  # noqa: F401

        return hasattr(slicer, "vtkMRMLSegmentationNode")
    except ImportError:
        return False


def write_scene_mrb(path: str | os.PathLike[str], result: Result, *, name: str = "CT") -> None:
    """Write the CT, its segments, points and table as a scene that Slicer opens; complete or not at all.

    Parameters
    ----------
    name
        Name of the CT node.

    Raises
    ------
    InputError
        If slicer-core is not installed, or the scene cannot be written.
    """
    if not slicer_is_here():
        raise InputError(
            "a Slicer scene can only be written with the package slicer-core",
            path=path,
            remedy="Install it with: pip install slicer-core",
        )
    from .plain_scene import PlainScene
    from .publishing import publish
    from .volume import volume_from_ct

    with PlainScene() as scene, written_beside(path) as partial:
        publish(result, volume_from_ct(result.ct, scene, name))
        scene.SetRootDirectory(os.fspath(partial.parent))
        if not scene.WriteToMRB(os.fspath(partial)) or not partial.is_file():
            raise InputError("the scene could not be written", path=path, remedy="Is there enough room on the disk?")
