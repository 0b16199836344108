"""Collect what VTK, MRML and Slicer's logics complain about, so that a test can assert that they did not."""

from __future__ import annotations

from vtkmodules.util.misc import calldata_type
from vtkmodules.util.vtkConstants import VTK_STRING
from vtkmodules.vtkCommonCore import vtkOutputWindow


class MessageLog:
    """Warnings and errors of VTK, and of Qt where there is an application, since the last :meth:`take`."""

    def __init__(self) -> None:
        self._entries: list[str] = []
        window = vtkOutputWindow.GetInstance()

        @calldata_type(VTK_STRING)
        def remember(_caller, event, text):
            self._entries.append(f"{event}: {text.strip()}")

        for event in ("ErrorEvent", "WarningEvent"):
            window.AddObserver(event, remember)

    def add(self, kind: str, text: str) -> None:
        """A complaint that does not come through VTK."""
        self._entries.append(f"{kind}: {text.strip()}")

    def take(self) -> list[str]:
        """The messages so far; the log is empty afterwards."""
        taken, self._entries = self._entries, []
        return taken


_log: MessageLog | None = None


def message_log() -> MessageLog:
    """The one log of this process; listening starts with the first call."""
    global _log
    if _log is None:
        _log = MessageLog()
    return _log
