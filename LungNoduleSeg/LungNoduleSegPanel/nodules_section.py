"""Section Nodules: the table of what was found, and what the user decides about it."""

import qt
import slicer
from slicer.i18n import tr as _

from .nodules_actions import NodulesActions
from .nodules_export import NodulesExport
from .nodules_table import NodulesTable
from .selection_link import SelectionLink


class NodulesSection:
    """host - the panel: logic, parameters, review, resourcePath(name), say(text).

    onSelection - callables, each called with the selected segment IDs when they have changed.
    """

    def __init__(self, host):
        self._host = host
        self.widget = slicer.util.loadUI(host.resourcePath("UI/Nodules.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.onSelection = []
        self._review = None
        self._selected = []
        self._outcome = (None, None)
        self._updating = False
        self.link = SelectionLink(self.onChosenElsewhere)
        self.table = NodulesTable(self.ui.nodulesTable, self.onSelected, self.onRenamed)
        self.actions = NodulesActions(host, self.table, self.ui, self.go)
        self.export = NodulesExport(host, self.ui.exportButton)
        self._fillGuidelines()
        self.ui.rejectedCheckBox.connect("toggled(bool)", self.onShowRejected)
        self.ui.guidelineComboBox.connect("currentIndexChanged(int)", self.onGuideline)
        self.ui.threeDCheckBox.connect("toggled(bool)", self.onShow3D)
        self.update()

    def setParameterNode(self, parameters):
        self.update()

    def cleanup(self):
        self._listenTo(None)
        self.link.close()

    def update(self):
        """Show the rows of the review as they are now; the selection stays with the segments that are still there."""
        if self._updating:
            return
        self._updating = True
        try:
            self._listenTo(self._host.review)
            rows, segmentation = self._rows(), self._segmentation()
            self.table.show(rows, _colors(segmentation, rows))
            self.link.follow(segmentation, rows)
            self.actions.update(rows)
            self.export.update(rows)
            self.ui.summaryLabel.text = self._summary(rows)
            self._updateChecks(segmentation, rows)
            self.link.highlight(self._currentRow())  # the points were made anew
        finally:
            self._updating = False
        self._tell()

    def _rows(self):
        return () if self._host.review is None else self._host.review.rows

    def _segmentation(self):
        parameters = self._host.parameters
        return None if self._host.review is None or not parameters else parameters.segmentation

    def _listenTo(self, review):
        if review is self._review:
            return
        if self._review is not None and self.update in self._review.on_change:
            self._review.on_change.remove(self.update)
        self._review = review
        if review is not None:
            review.guideline = self.ui.guidelineComboBox.currentData
            review.on_change.append(self.update)

    # What is said above the table

    def _summary(self, rows):
        if not rows:
            return self._emptyText()
        counts = {status: sum(row.status == status for row in rows) for status in self.table.words.statuses}
        total = _("1 nodule") if len(rows) == 1 else _("{count} nodules").format(count=len(rows))
        return _("{total}: {accepted} accepted, {rejected} rejected, {pending} to review").format(total=total, **counts)

    def _emptyText(self):
        parameters = self._host.parameters
        outcome, volume = self._lastOutcome()
        if parameters and parameters.segmentation is not None:
            if self._host.review is None:
                return _("These nodules belong to another CT. Choose it as the CT to see them.")
            return _("There is no nodule in this segmentation.")
        if outcome is not None and parameters and parameters.inputVolume is volume and outcome.nodes is None:
            return outcome.message
        return _("No nodules yet: find them in the CT, or click on one.")

    def _lastOutcome(self):
        """What the last run gave, and the CT that was chosen when it ended."""
        outcome = getattr(self._host.logic, "lastOutcome", None)
        if outcome is not self._outcome[0]:
            self._outcome = (outcome, self._host.parameters.inputVolume if self._host.parameters else None)
        return self._outcome

    # Selection

    def selectSegments(self, ids):
        """Select the rows of these segments, highlight the first in the views, without a jump."""
        self.table.select(list(ids))
        self._afterSelection()

    def selectedSegments(self):
        """IDs of the selected segments, in the order of the table."""
        return self.table.selected()

    def go(self, ids):
        """Select the rows of these segments as if the user had: the views jump to the first."""
        self.table.select(list(ids))
        self.onSelected()

    def onSelected(self):
        """The user has selected rows."""
        self._afterSelection()
        row = self._currentRow()
        if row is not None:
            with slicer.util.tryWithErrorDisplay(_("The views could not jump to the nodule."), waitCursor=False):
                self.link.jump(row)

    def onChosenElsewhere(self, segmentId):
        """A point in the views, or a segment in the Segment Editor; the views stay where the user has them."""
        if self.table.selected() != [segmentId]:
            self.selectSegments([segmentId])

    def _afterSelection(self):
        self.actions.update(self._rows())
        self.link.choose(self._currentRow())
        self._tell()

    def _currentRow(self):
        """The selected row that the keyboard is on, else the first selected one."""
        selected = self.table.selected()
        if not selected:
            return None
        current = self.table.current()
        return self._host.review.row(current if current in selected else selected[0])

    def _tell(self):
        selected = self.table.selected()
        if selected != self._selected:
            self._selected = selected
            for callback in list(self.onSelection):
                callback(list(selected))

    def onRenamed(self, segmentId, name):
        self.actions.onRenamed(segmentId, name)

    # What is shown

    def onShowRejected(self, on):
        self.table.setShowRejected(on)
        self._afterSelection()

    def onShow3D(self, on):
        segmentation = self._segmentation()
        if self._updating or segmentation is None:
            return
        with slicer.util.tryWithErrorDisplay(_("The 3D display could not be changed."), waitCursor=True):
            from LungNoduleSegLib.mrml.surfaces import show_3d

            try:
                show_3d(segmentation, on)
            finally:
                self.update()  # the box says what is shown

    def _fillGuidelines(self):
        box = self.ui.guidelineComboBox
        for name, title, tip in (
            (
                "fleischner-2017",
                _("Fleischner 2017"),
                _("For nodules found by chance (MacMahon et al., Radiology 2017)."),
            ),
            ("lung-rads-2022", _("Lung-RADS v2022"), _("For a baseline screening CT (American College of Radiology).")),
        ):
            box.addItem(title, name)
            box.setItemData(box.count - 1, tip, qt.Qt.ToolTipRole)

    def onGuideline(self, index):
        if self._host.review is not None:
            with slicer.util.tryWithErrorDisplay(_("The guideline could not be changed."), waitCursor=False):
                self._host.review.guideline = self.ui.guidelineComboBox.itemData(index)

    def _updateChecks(self, segmentation, rows):
        self.ui.rejectedCheckBox.enabled = any(row.status == "rejected" for row in rows)
        self.ui.threeDCheckBox.enabled = segmentation is not None and bool(rows)
        self.ui.threeDCheckBox.checked = segmentation is not None and _isShown3D(segmentation)


def _colors(segmentation, rows):
    if segmentation is None:
        return {}
    segments = {row.segment_id: segmentation.GetSegmentation().GetSegment(row.segment_id) for row in rows}
    return {key: tuple(segment.GetColor()) for key, segment in segments.items() if segment is not None}


def _isShown3D(segmentation):
    display = segmentation.GetDisplayNode()
    surfaces = segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    return surfaces and display is not None and bool(display.GetVisibility3D())
