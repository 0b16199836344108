"""Section Click a nodule: clicks in the views make nodules and refine them."""

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from .place_mode import IN, OUT, PlaceMode

FAR_MM = 10.0
"""A click further than this from the present nodule is meant for another one."""
LONGEST_NAME = 30
"""In characters: a longer one would make the panel wider."""


class ClickSection:
    """host - the panel: logic, parameters, review, running, resourcePath(name), say(text), updateSections(),
    reasonNotToRun(), offerInstallation(), segmentationForRun(), selectSegment(id), logClicks()."""

    def __init__(self, host):
        self._host = host
        self.widget = slicer.util.loadUI(host.resourcePath("UI/Click.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.current = None
        """ID of the segment that the next click refines; None: it begins a new nodule."""
        self._waiting = []
        self._busy = False
        self._point = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._next)
        self._placing = PlaceMode(self.onPoint, self.onPlacingEnded)
        # Place mode takes no clicks with Shift or Ctrl, so the keys are pressed beforehand.
        self._keys = [self._key("Esc", self.stop), self._key("Shift+N", self.onNewNodule)]
        self.ui.placeButton.connect("toggled(bool)", self.onPlaceToggled)
        self.ui.newNoduleButton.connect("clicked(bool)", self.onNewNodule)

    def _key(self, keys, function):
        """A shortcut of the whole window, while clicks are placed."""
        shortcut = qt.QShortcut(qt.QKeySequence(keys), slicer.util.mainWindow() or self.widget)
        shortcut.connect("activated()", function)
        shortcut.setEnabled(False)
        return shortcut

    def _enableKeys(self, on):
        for shortcut in self._keys:
            shortcut.setEnabled(on)

    def setParameterNode(self, parameters):
        if parameters is None:
            self.stop()
        self.current = None
        self.update()

    def cleanup(self):
        self.stop()
        self._timer.stop()
        for shortcut in self._keys:
            shortcut.deleteLater()  # the window that they belong to stays
        self._keys = []

    def update(self):
        reason = self._host.reasonNotToRun()
        row = self._row()
        if row is None:
            self.current = None
        self.ui.placeButton.enabled = not reason
        self.ui.placeButton.toolTip = reason or _(
            "While this is pressed, a click on a nodule in a slice view segments it. Press it again, or Escape, to "
            "stop."
        )
        self.ui.newNoduleButton.enabled = row is not None
        self.ui.cutRadioButton.enabled = row is not None
        if row is None:
            self.ui.addRadioButton.checked = True
        if reason and self._placing.on:
            self.stop()
        target = _("a new nodule") if row is None else _shortened(row.name)
        self.ui.targetLabel.text = _("Next click: {target}").format(target=target)

    def _row(self):
        review = self._host.review
        return None if review is None or self.current is None else review.row(self.current)

    # Place mode

    def onPlaceToggled(self, on):
        if not on:
            self.stop()
            return
        if not self._host.offerInstallation():
            self.ui.placeButton.checked = False
            return
        parameters = self._host.parameters
        try:
            with slicer.util.tryWithErrorDisplay(_("Clicking could not be started."), waitCursor=False):
                self._host.logic.warmUp(parameters.inputVolume, parameters.model, parameters.device)
                self._placing.start()
                self._enableKeys(True)
                self._say(_("Click on a nodule in a slice view."))
        finally:
            self.ui.placeButton.checked = self._placing.on

    def stop(self):
        """End place mode; clicks that wait are forgotten."""
        self._waiting = []
        self._placing.stop()
        self._enableKeys(False)
        if self.ui.placeButton.checked:
            self.ui.placeButton.checked = False

    def onPlacingEnded(self):
        self.stop()

    def onNewNodule(self):
        self.current = None
        self._placing.clear()
        self.update()
        self._say(_("The next click begins a new nodule."))

    def selectCurrent(self, segmentId):
        """The segment that the next click refines: the one that is selected in the table."""
        if segmentId != self.current:
            self._placing.clear()
            self.current = segmentId
            self.update()

    # A click

    def onPoint(self, ras, point):
        """A point was placed: segment there, or refine the present nodule. A click may refine what the one before it
        makes, so they are answered one after another."""
        self._waiting.append((ras, point, self.ui.cutRadioButton.checked))
        self._timer.start()  # the markups are not changed while Slicer is placing the point

    def _next(self):
        parameters = self._host.parameters
        if self._busy or not self._waiting or parameters is None:
            return
        ras, self._point, cut = self._waiting.pop(0)
        try:
            cut = cut and self.current is not None
            if self.current is not None and not cut:
                self.current = self._meant(ras)
            self._placing.mark(self._point, OUT if cut else IN)
            self._say(_("Segmenting..."))
            self._busy = True
            self._host.logic.click(
                parameters.inputVolume,
                [] if cut else [ras],
                [ras] if cut else [],
                segmentId=self.current,
                segmentationNode=self._host.segmentationForRun(),
                model=parameters.model,
                device=parameters.device,
                wait=False,
                onDone=self.onDone,
            )
        except Exception as error:
            self._busy = False
            self._placing.drop(self._point)
            self._say(str(error))
            raise

    def _meant(self, ras):
        """The present nodule, or None where the point lies so far away that another one must be meant."""
        mask, offset, ct = self._voxels()
        if mask is None:
            return None
        at = np.argwhere(mask) + offset
        nearest = np.linalg.norm(ct.kji_to_ras(at) - np.asarray(ras), axis=1).min()
        return self.current if nearest <= FAR_MM else None

    def _voxels(self):
        if self._row() is None:
            return None, None, None
        there = self._host.review.mask(self.current)
        return there.mask, there.offset_kji, self._host.logic.ct(self._host.parameters.inputVolume)

    def onDone(self, click):
        """A click was answered."""
        self._busy = False
        self._say(click.message)
        if click.segmentId is None:
            self._placing.drop(self._point)
        if click.error is not None:
            self._host.logClicks()
        elif click.segmentId is None:  # cancelled: the worker is ending, and must not be started again
            self._waiting = []
        else:
            if self._host.parameters is not None and click.segmentationNode is not None:
                self._host.parameters.segmentation = click.segmentationNode
            self.current = click.segmentId
            self._host.selectSegment(click.segmentId)
        self._host.updateSections()
        self._timer.start()

    def _say(self, text):
        self.ui.clickStatusLabel.text = text


def _shortened(name):
    """A name that fits beside the buttons; the table has all of it."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"
