"""The same nodule in the table, in the views, and in the Segment Editor."""

import slicer
import vtk
from slicer.util import VTKObservationMixin

_EDITOR_CLASS = "vtkMRMLSegmentEditorNode"


class SelectionLink(VTKObservationMixin):
    """Tells of choices made in the views and in the Segment Editor, and makes the table's choice there.

    onChosen - called with a segment ID when the user has clicked or selected its point, or selected it in a Segment
        Editor that edits this segmentation.

    What this class does itself is remembered before it is done, so that nothing goes round in circles.
    """

    def __init__(self, onChosen):
        VTKObservationMixin.__init__(self)
        self._onChosen = onChosen
        self._segmentation = None
        self._points = None
        self._display = None
        self._segments = {}
        self._editors = {}
        self._selectedPoints = ({}, frozenset())
        self._busy = False
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndImportEvent, scene.EndRestoreEvent):
            self.addObserver(scene, event, self.onNodes)
        self._findEditors()

    def close(self):
        self.removeObservers()

    def follow(self, segmentationNode, rows):
        """Which nodules there are now.

        segmentationNode - their segmentation, or None.
        rows - ReviewRows.
        """
        self._segmentation = segmentationNode
        self._segments = {row.nodule.uid: row.segment_id for row in rows}
        self._watchPoints(_pointsOf(segmentationNode))
        for editor in self._editors:
            self._editors[editor] = self._selectedIn(editor)

    def highlight(self, row):
        """Highlight the point of a row's nodule in the views; of none, where row is None."""
        from LungNoduleSegLib.mrml.views import highlight_point

        if self._points is None:
            return
        self._busy = True
        try:
            highlight_point(self._points, "" if row is None else row.nodule.uid)
            self._selectedPoints = self._pointState()
        finally:
            self._busy = False

    def choose(self, row):
        """Make a row's segment the one that is highlighted in the views and selected in the Segment Editor.

        row - ReviewRow, or None: the Segment Editor stays as it is.
        """
        self.highlight(row)
        self._busy = True
        try:
            for editor in self._editors:
                if row is not None and self._edits(editor) and editor.GetSelectedSegmentID() != row.segment_id:
                    editor.SetSelectedSegmentID(row.segment_id)
                self._editors[editor] = self._selectedIn(editor)
        finally:
            self._busy = False

    def jump(self, row):
        """Let all views show the middle of a row's nodule."""
        from LungNoduleSegLib.mrml.views import jump_to

        jump_to(slicer.mrmlScene, row.nodule.centroid_ras)

    # Points

    def _watchPoints(self, points):
        display = None if points is None else points.GetDisplayNode()
        self._watch(self._points, points, "PointModifiedEvent", self.onPoint)
        self._watch(self._display, display, "JumpToPointEvent", self.onPointClicked)
        self._points, self._display = points, display
        self._selectedPoints = self._pointState()

    def _watch(self, old, new, event, method):
        if old is new:
            return
        if old is not None:
            self.removeObserver(old, getattr(old, event), method)
        if new is not None:
            self.addObserver(new, getattr(new, event), method)

    def _pointState(self):
        """UIDs of all points, and of the selected ones."""
        points = self._points
        if points is None:
            return {}, frozenset()
        numbers = range(points.GetNumberOfControlPoints())
        uids = {number: points.GetNthControlPointDescription(number) for number in numbers}
        return uids, frozenset(uids[number] for number in numbers if points.GetNthControlPointSelected(number))

    def onPoint(self, caller, event):
        """One point that was not selected before, while the points are the same, is what the user has selected."""
        before, self._selectedPoints = self._selectedPoints, self._pointState()
        uids, selected = self._selectedPoints
        if self._busy or uids != before[0]:
            return
        fresh = selected - before[1]
        if len(fresh) == 1:
            self._tell(self._segments.get(next(iter(fresh))))

    def onPointClicked(self, caller, event):
        """A click in a view; the clicked point is the one under the mouse."""
        number = caller.GetActiveControlPoint()
        if self._points is not None and 0 <= number < self._points.GetNumberOfControlPoints():
            self._tell(self._segments.get(self._points.GetNthControlPointDescription(number)))

    # Segment Editor

    def onNodes(self, caller, event):
        self._findEditors()

    def _findEditors(self):
        """Every Segment Editor that is in the scene; the application's own is added when it is first opened."""
        editors = slicer.util.getNodesByClass(_EDITOR_CLASS)
        for editor in [editor for editor in self._editors if editor not in editors]:
            self.removeObserver(editor, vtk.vtkCommand.ModifiedEvent, self.onEditor)
            del self._editors[editor]
        for editor in editors:
            if editor not in self._editors:
                self.addObserver(editor, vtk.vtkCommand.ModifiedEvent, self.onEditor)
                self._editors[editor] = self._selectedIn(editor)

    def _edits(self, editor):
        return self._segmentation is not None and editor.GetSegmentationNode() is self._segmentation

    def _selectedIn(self, editor):
        return editor.GetSelectedSegmentID() if self._edits(editor) else None

    def onEditor(self, caller, event):
        before, self._editors[caller] = self._editors.get(caller), self._selectedIn(caller)
        if not self._busy and self._editors[caller] != before:
            self._tell(self._editors[caller])

    def _tell(self, segmentId):
        if segmentId is not None and segmentId in self._segments.values():
            self._onChosen(segmentId)


def _pointsOf(segmentationNode):
    from LungNoduleSegLib.mrml.publishing import POINTS_ROLE

    return None if segmentationNode is None else segmentationNode.GetNodeReference(POINTS_ROLE)
