"""A whole-CT run as the panel and scripts see it: started, followed by events, and published in the main thread."""

import logging
import queue
import threading
import time
from collections import deque

import qt
import slicer
from slicer.i18n import tr as _

POLL_MS = 50
_WAIT_S = 0.02


class InProcessRun:
    """A run in a thread of this process, with the interface of LungNoduleSegLib.client.run.Run.

    For the self test, and for scripts that bring their own segmenter: what has
    segment(ct, roi=..., threshold=..., min_diameter_mm=..., progress=..., cancel=...), and uncertainty=True where the
    job asks for it.
    """

    log = ""

    def __init__(self, segmenter, ct, job):
        self._segmenter, self._ct = segmenter, ct
        self._options = {name: job.get(name) for name in ("roi", "threshold", "min_diameter_mm")}
        if job.get("uncertainty"):
            self._options["uncertainty"] = True
        self._events = queue.Queue()
        self._cancelled = False
        self.running = False
        self.fraction = 0.0
        self.seconds_left = None

    def start(self):
        self.running = True
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self):
        from LungNoduleSegLib.errors import Cancelled

        def progress(fraction, message=""):
            self.fraction = fraction
            self._events.put({"event": "progress", "fraction": fraction, "message": message})

        try:
            result = self._segmenter.segment(
                self._ct, progress=progress, cancel=lambda: self._cancelled, **self._options
            )
            self._events.put({"event": "result", "result": result})
        except Cancelled:
            self._events.put({"event": "cancelled"})
        except Exception as error:
            logging.exception("LungNoduleSeg: the run failed")
            self._events.put({"event": "error", "message": str(error), "remedy": None, "kind": type(error).__name__})
        self.running = False

    def events(self):
        found = []
        while not self._events.empty():
            found.append(self._events.get())
        return found

    def cancel(self):
        self._cancelled = True

    def close(self):
        self._cancelled = True


class RunFailed(RuntimeError):
    """A run ended with an error; the text is a sentence with its remedy."""


class PendingRun:
    """A run that was started: forwards its events, and ends with `outcome` or `error`.

    run - started here; gives events (LungNoduleSegLib.client.run.Run, or InProcessRun).
    publish - publish(event) -> Outcome: puts the result into the scene, in the main thread.
    cancelledOutcome - what `outcome` is after a cancellation.
    onEvent - is called in the main thread with {"event": "progress", "fraction": 0..1, "message": str, "secondsLeft":
        float or None}, finally with {"event": "result" | "cancelled" | "error", "message": str}.
    onFinished - is called, without argument, when the run has ended, before onEvent is told so.
    """

    def __init__(self, run, publish, cancelledOutcome, onEvent=None, onFinished=None):
        self._run, self._publish, self._cancelledOutcome = run, publish, cancelledOutcome
        self._tell = onEvent or (lambda event: None)
        self._onFinished = onFinished or (lambda: None)
        self._heard = deque()
        self._timer = None
        self.cancelling = False
        self.finished = False
        self.outcome = None
        self.error = None

    @property
    def log(self):
        return self._run.log

    def start(self):
        self._run.start()

    def follow(self):
        """Let a timer of the application bring the events; returns at once."""
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.poll)
        self._timer.start()

    def wait(self):
        """Until the run has ended; the application goes on reacting meanwhile. Returns the outcome or raises."""
        try:
            while not self.finished:
                self.poll()
                slicer.app.processEvents()
                if not self.finished:
                    time.sleep(_WAIT_S)
        except BaseException:  # Ctrl+C, or an error of onEvent: nobody follows the run any more
            self.abandon()
            raise
        if self.error is not None:
            raise self.error
        return self.outcome

    def cancel(self):
        """End the run as soon as it can; nothing is added to the scene then, even if it was just finished."""
        if not self.finished and not self.cancelling:
            self.cancelling = True
            self._run.cancel()

    def abandon(self):
        """End the run at once and say nothing more: the scene that it was for is gone."""
        if self.finished:
            return
        self._tell = lambda event: None
        self.cancel()
        self.outcome = self._cancelledOutcome
        self._finish()

    def poll(self):
        """Take what has come; to be called in the main thread."""
        if not self.finished:
            self._heard.extend(self._run.events())
        # One by one: whoever is told may poll, end the run, or fail, and no event is lost or told out of order then.
        while self._heard and not self.finished:
            event = self._heard.popleft()
            if event["event"] == "progress":
                self._tell(
                    {
                        "event": "progress",
                        "fraction": event["fraction"],
                        "message": event.get("message", ""),
                        "secondsLeft": self._run.seconds_left,
                    }
                )
            elif event["event"] in ("result", "cancelled", "error"):
                self._end(event)

    def _end(self, event):
        # The end is told after the state has changed, so that whoever is told may start the next run.
        if event["event"] == "error" and not self.cancelling:
            self._fail(RunFailed(sentence(event)))
            return
        if event["event"] != "result" or self.cancelling:
            self.outcome = self._cancelledOutcome
            self._finish()
            self._tell({"event": "cancelled", "message": self.outcome.message})
            return
        try:
            self.outcome = self._publish(event)
        except Exception as error:
            logging.exception("LungNoduleSeg: the result could not be shown")
            self._fail(error)
            return
        self._finish()
        self._tell({"event": "result", "message": self.outcome.message})

    def _fail(self, error):
        self.error = error
        self._finish()
        self._tell({"event": "error", "message": str(error)})

    def _finish(self):
        self.finished = True
        if self._timer is not None:
            self._timer.stop()
            # A connection keeps this object, with its result, as long as the timer; which must not be deleted here,
            # in its own signal.
            self._timer.disconnect("timeout()", self.poll)
        self._run.close()
        self._onFinished()


def sentence(event):
    """Message and remedy of an error event, as sentences."""
    text, remedy = event["message"].rstrip(), event.get("remedy") or ""
    if not text.endswith((".", "?", "!")):
        text += "."
    return text if not remedy or remedy in text else f"{text} {remedy}"


def timeLeft(seconds):
    """A rough time as words; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 10:
        return _("a few seconds left")
    if seconds < 90:
        return _("about {seconds} s left").format(seconds=int(round(seconds, -1)))
    return _("about {minutes} min left").format(minutes=max(1, round(seconds / 60)))
