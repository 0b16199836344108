"""Work in a thread while the application stays alive: the events come by a timer into the main thread."""

import logging
import queue
import threading

import qt

POLL_MS = 50
# Slicer's main thread holds Python's lock while it waits for events: the timer gives it away for so long.
WAIT_S = 0.02


class BackgroundJob:
    """One function in a thread of its own.

    work - called in the thread as work(progress, cancel): progress(fraction 0..1, message), and cancel() returns true
        when it shall stop, which it does by raising LungNoduleSegLib.errors.Cancelled. It touches no widget, no node.
    onProgress - called in the main thread with (fraction, message).
    onEnd - called in the main thread, once, with (value, error): what the function returned and None, or None and its
        exception.
    """

    def __init__(self, work, onEnd, onProgress=None):
        self._work, self._onEnd, self._onProgress = work, onEnd, onProgress
        self._events = queue.Queue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="LungNoduleSeg background", daemon=True)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self._poll)
        self.running = False

    def start(self):
        self.running = True
        self._thread.start()
        self._timer.start()

    def cancel(self):
        """Let it stop at its next step; returns at once."""
        self._stop.set()

    def close(self):
        """Cancel, and tell nobody about the end any more."""
        self._stop.set()
        self._onEnd = self._onProgress = None
        self._timer.stop()
        self.running = False

    def _run(self):
        try:
            value = self._work(lambda fraction, message="": self._events.put((fraction, message)), self._stop.is_set)
        except Exception as error:
            self._events.put((None, None, error))
        else:
            self._events.put((None, value, None))

    def _poll(self):
        self._thread.join(WAIT_S)
        while not self._events.empty():
            event = self._events.get()
            if len(event) == 3:
                self._end(event[1], event[2])
                return
            if self._onProgress is not None:
                self._onProgress(*event)

    def _end(self, value, error):
        onEnd = self._onEnd
        self.close()
        if error is not None:
            logging.debug("LungNoduleSeg: work in the background ended with an error", exc_info=error)
        if onEnd is not None:
            onEnd(value, error)
