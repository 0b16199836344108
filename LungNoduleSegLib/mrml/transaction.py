"""All or nothing: a block of changes to a scene that an error takes back."""

from __future__ import annotations

import logging
from collections.abc import Callable

import vtk

from .hierarchy import forget

_log = logging.getLogger(__name__)


class SceneTransaction:
    """Changes to `scene` that stay only if the block ends without an error.

    Nodes that appear in the scene inside the block, also those that Slicer adds by itself (display nodes), are removed
    again in reverse order. Changes to nodes that were there before are taken back by what :meth:`on_error` was given.
    Where the user's next point goes (the selection node's place node) is restored in any case.
    The scene's own undo is not used: it is off by default in Slicer, and unreliable.

    Examples
    --------
    >>> with SceneTransaction(scene) as transaction:
    ...     node = transaction.add("vtkMRMLTableNode", "Nodules")
    """

    def __init__(self, scene) -> None:
        self._scene = scene
        self._reverts: list[Callable[[], None]] = []
        self._tag = self._selection = None
        self._place = ("", "")

    def __enter__(self) -> SceneTransaction:
        @vtk.calldata_type(vtk.VTK_OBJECT)
        def remember(_caller, _event, node):
            node_id = node.GetID()
            self._reverts.append(lambda: self._remove(node_id))

        self._tag = self._scene.AddObserver(self._scene.NodeAddedEvent, remember)
        # Slicer makes a new points node the one that the user's next clicks go to.
        self._selection = self._scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
        if self._selection is not None:
            self._place = _place_of(self._selection)
        return self

    def __exit__(self, error_type, error, traceback) -> None:
        self._scene.RemoveObserver(self._tag)
        if error_type is not None:
            for revert in reversed(self._reverts):
                try:
                    revert()
                except Exception:  # the first error is the one to report; the others must not stop the clean-up
                    _log.exception("Could not take back one change to the scene.")
        self._reverts.clear()
        if self._selection is not None and self._place != _place_of(self._selection):
            self._selection.SetReferenceActivePlaceNodeID(self._place[0])
            self._selection.SetReferenceActivePlaceNodeClassName(self._place[1])

    def add(self, class_name: str, name: str):
        """Add a node of `class_name`, its name made unique in the scene."""
        node = self._scene.AddNewNodeByClass(class_name, self._scene.GetUniqueNameByString(name))
        if node is None:
            raise RuntimeError(f"The scene does not know the node class {class_name}.")
        return node

    def on_error(self, revert: Callable[[], None]) -> None:
        """Call `revert` if the block fails; the latest one comes first."""
        self._reverts.append(revert)

    def _remove(self, node_id: str) -> None:
        node = self._scene.GetNodeByID(node_id)
        if node is not None:
            forget(self._scene, node)
            self._scene.RemoveNode(node)


def _place_of(selection) -> tuple[str | None, str | None]:
    return selection.GetActivePlaceNodeID(), selection.GetActivePlaceNodeClassName()
