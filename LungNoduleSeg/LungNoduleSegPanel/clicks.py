"""Clicks: one after another to a warm worker, and each answer into the scene."""

import logging
import time
from collections import deque

import qt
import slicer
from slicer.i18n import tr as _

from .runs import RunFailed, sentence

POLL_MS = 20
_WAIT_S = 0.01
IDLE_MINUTES = 15
"""A worker that was not asked for so long gives its memory back."""


class InProcessWorker:
    """A worker without a process of its own, with the interface of LungNoduleSegLib.client.worker.ClickWorker.

    For the self test, and for scripts that bring their own segmenter: what has click(ct, positive_ras, negative_ras).
    """

    log = ""
    alive = True

    def __init__(self, loadSegmenter):
        self._load = loadSegmenter
        self._events = []
        self._jobs = 0

    def warm(self, ct, model, device):
        pass

    def click(self, ct, model, device, positive_ras, negative_ras=(), base=None):
        self._jobs += 1
        more = {} if base is None else {"base": (base.offset_kji, base.mask)}
        try:
            result = self._load(model, device).click(ct, positive_ras, negative_ras, **more)
            self._events.append({"event": "result", "job": self._jobs, "result": result})
        except Exception as error:
            logging.exception("LungNoduleSeg: the click failed")
            self._events.append({"event": "error", "job": self._jobs, "message": str(error), "remedy": None})
        return self._jobs

    def events(self):
        found, self._events = self._events, []
        return found

    def cancel(self):
        pass

    def close(self):
        pass


class PendingClick:
    """One click that was asked for; ends with `segmentId`, `segmentationNode` and `message`, or with `error`."""

    def __init__(self, queue, prepare, publish, onDone):
        self._queue, self._prepare, self._publish, self._onDone = queue, prepare, publish, onDone
        self.finished = False
        self.segmentId = None
        self.segmentationNode = None
        self.mask = None
        self.message = ""
        self.error = None

    def wait(self):
        """Until it is answered; the application goes on reacting meanwhile. Returns the segment's ID or raises."""
        while not self.finished:
            self._queue.poll()
            slicer.app.processEvents()
            if not self.finished:
                time.sleep(_WAIT_S)
        if self.error is not None:
            raise self.error
        return self.segmentId

    def send(self, worker):
        """The number of the job that was given to the worker."""
        ct, model, device, positive, negative, base = self._prepare()
        return worker.click(ct, model, device, positive, negative, base)

    def end(self, event):
        try:
            if event["event"] == "result":
                self.segmentId, self.segmentationNode, self.message = self._publish(event["result"])
            elif event["event"] == "error":
                raise RunFailed(sentence(event))
            else:
                self.message = _("Cancelled; nothing was changed.")
        except Exception as error:
            logging.exception("LungNoduleSeg: the click failed")
            self.error, self.message = error, str(error)
        self.finished = True
        if self._onDone is not None:
            self._onDone(self)


class ClickQueue:
    """Sends clicks to the worker, each when the one before it is in the scene: it may refine what that one made.

    startWorker - makes the worker on the first click.
    """

    def __init__(self, startWorker):
        self._startWorker = startWorker
        self._worker = None
        self._waiting = deque()
        self._current = None  # (number, PendingClick)
        self._timer, self._following = None, False
        self._lastUse = 0.0

    @property
    def busy(self):
        return self._current is not None or bool(self._waiting)

    @property
    def log(self):
        return "" if self._worker is None else self._worker.log

    @property
    def warm(self):
        """Whether a worker is there, with a network and a CT in memory."""
        return self._worker is not None and self._worker.alive

    def warmUp(self, ct, model, device):
        """Load network and CT before the first click; returns at once."""
        self._theWorker().warm(ct, model, device)
        self._follow()

    def add(self, prepare, publish, onDone=None):
        """Ask for a click.

        prepare - called when it is its turn: (ct, model, device, positive, negative, base).
        publish - publish(result) -> (segment ID, segmentation node, message), in the main thread.
        onDone - called with the PendingClick when it has ended.
        """
        click = PendingClick(self, prepare, publish, onDone)
        self._waiting.append(click)
        self._next()
        self._follow()
        return click

    def poll(self):
        """Take what has come; to be called in the main thread."""
        for event in [] if self._worker is None else self._worker.events():
            if self._current is None or event.get("job") != self._current[0]:
                continue
            if event["event"] in ("result", "error", "cancelled"):
                click, self._current = self._current[1], None
                click.end(event)
        if self._current is None:
            self._next()
        if not self.busy and self._worker is not None and time.monotonic() - self._lastUse > 60 * IDLE_MINUTES:
            self.close()

    def cancel(self):
        """Drop what waits; the one in progress ends as soon as it can."""
        waiting, self._waiting = self._waiting, deque()
        for click in waiting:
            click.end({"event": "cancelled"})
        if self._current is not None and self._worker is not None:
            self._worker.cancel()

    def close(self):
        """End the worker; the next click starts a new one."""
        if self._following:
            self._following = False
            self._timer.stop()
            # A connection keeps this object as long as the timer; which must not be deleted here, in its own signal.
            self._timer.disconnect("timeout()", self.poll)
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        waiting = [self._current[1]] if self._current is not None else []
        waiting += self._waiting
        self._current, self._waiting = None, deque()
        for click in waiting:
            click.end({"event": "cancelled"})

    def _theWorker(self):
        self._lastUse = time.monotonic()
        if self._worker is None:
            self._worker = self._startWorker()
        return self._worker

    def _next(self):
        while self._current is None and self._waiting:
            click = self._waiting.popleft()
            try:
                number = click.send(self._theWorker())
            except Exception as error:
                click.end({"event": "error", "message": str(error)})
                continue
            self._current = (number, click)

    def _follow(self):
        if self._following:
            return
        if self._timer is None:
            self._timer = qt.QTimer()
            self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.poll)
        self._timer.start()
        self._following = True
