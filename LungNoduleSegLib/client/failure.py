"""From an exit code and last words to a plain sentence with a remedy."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.client.requirements import BROUGHT_BY_SLICER, ENGINES, REQUIREMENTS, title
from LungNoduleSegLib.errors import LungNoduleSegError

_CHECK = "Check the installation in the section Model; it says what is missing and installs it."
_LOG = "The log says more; if it happens again, report it with the log."
_LESS = "Close other programs, choose a smaller region of interest, or allow fewer threads."

_MEMORY = (
    "memoryerror", "bad_alloc", "out of memory", "outofmemoryerror", "can't allocate memory", "cannot allocate memory",
    "alloc_failed", "failed to allocate memory", "bad allocation", "not enough memory", "memory ran out",
    "paging file is too small",
)  # fmt: skip
_BROKEN = (
    "dll load failed", "cannot open shared object file", "undefined symbol", "library not loaded", "image not found",
    "winerror 126", "winerror 127", "winerror 193", "winerror 1114", "glibcxx_", "_array_api not found",
    "numpy is not available", "compiled using numpy 1.x", "incompatible architecture",
)  # fmt: skip
_MISSING = re.compile(r"No module named ['\"]?([A-Za-z0-9_.]+)")
_OLD_PYTHON = re.compile(r"needs Python ([\d.]+) or newer, this one is ([\d.]+)")
_EXCEPTION = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?([A-Za-z_]\w*(?:Error|Exception|Interrupt)): ?(.*)$", re.MULTILINE)

# What a process of Windows ends with, as 32 bits.
_WINDOWS_MEMORY = {0xC0000017, 0xC000012D, 0xC0000006}
_WINDOWS_LIBRARY = {0xC0000135, 0xC0000138, 0xC0000139, 0xC0000142, 0xC000007B}
_WINDOWS_INSTRUCTION = 0xC000001D


@dataclass(frozen=True)
class Failure:
    """Why a run gave nothing.

    Attributes
    ----------
    kind
        "OutOfMemory", "MissingPackage", "BrokenPackage", "WrongPython", "Crash", "Killed", "DiskFull", "CannotStart",
        "NoAnswer", "Ended", or the name of one of the library's errors, "InputError" or "WeightsError".
    message
        One sentence.
    remedy
        What to do, as a sentence; "" where nothing is known.
    """

    kind: str
    message: str
    remedy: str

    def event(self) -> dict[str, Any]:
        """As the last event of a run."""
        return {"event": "error", **asdict(self)}


def explain_event(event: Mapping[str, Any], interpreter: Interpreter) -> Failure:
    """An "error" event of the runner."""
    kind, message = str(event.get("kind") or ""), str(event.get("message") or "")
    text = f"{kind}: {message}"
    if kind in ("InputError", "WeightsError"):
        finding, path = str(event.get("finding") or message), event.get("path")
        return Failure(kind, _sentence(f"{path}: {finding}" if path else finding), str(event.get("remedy") or ""))
    found = _known(text, interpreter)
    if found is not None:
        return found
    if kind == "LungNoduleSegError":
        return Failure(kind, _sentence(message), str(event.get("remedy") or ""))
    return Failure(kind or "Ended", _sentence(f"The run failed with an error of the program ({message or kind})"), _LOG)


def explain_exit(code: int, errors: str, interpreter: Interpreter, *, ready: bool) -> Failure:
    """A process that ended without a last event.

    Parameters
    ----------
    code
        Its exit code; negative: minus the signal that ended it.
    errors
        The end of its standard error.
    ready
        Whether the runner had come up in it.
    """
    bits = code & 0xFFFFFFFF
    # PythonSlicer and shells pass a signal on as 128 + its number.
    number = -code if code < 0 and code > -128 else code - 128 if 128 < code < 160 else 0
    found = _known(errors, interpreter)
    if found is not None:
        return found
    if number == getattr(signal, "SIGKILL", 9):
        return Failure("OutOfMemory", "The system ended the run, most likely because memory ran out.", _LESS)
    if bits in _WINDOWS_MEMORY:
        return Failure("OutOfMemory", "The run ended because memory ran out.", _LESS)
    if bits in _WINDOWS_LIBRARY:
        return _broken(interpreter, f"0x{bits:08X}")
    if number == getattr(signal, "SIGILL", 4) or bits == _WINDOWS_INSTRUCTION:
        return Failure(
            "Crash",
            "The run crashed: a package uses instructions that this processor does not have.",
            "Install a build of it for older processors, or choose another Python in the section Advanced.",
        )
    if number in (getattr(signal, name, -1) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")):
        return Failure("Killed", f"Another program ended the run ({_name(number)}).", "Start it again.")
    if "exit abnormally" in errors:  # what Slicer's launcher says of a child that a signal ended
        return Failure("Crash", "The run crashed, or the system ended it because memory ran out.", f"{_LESS} {_LOG}")
    if number or bits >= 0xC0000000:
        what = _name(number) if number else f"0x{bits:08X}"
        return Failure("Crash", f"The run crashed ({what}).", f"Try the device cpu and fewer threads. {_LOG}")
    if not ready:
        words = _last_words(errors)
        return Failure(
            "CannotStart",
            f"The segmentation did not start in {interpreter.path} (exit code {code}{words}).",
            _CHECK if interpreter.own else "Choose another Python in the section Advanced, or Slicer's own.",
        )
    return Failure("Ended", f"The run ended without a result (exit code {code}{_last_words(errors)}).", _LOG)


def explain_error(error: Exception, interpreter: Interpreter) -> Failure:
    """What went wrong in this process: files that cannot be written or read, or a program that cannot be started."""
    if isinstance(error, LungNoduleSegError):
        fields = {name: getattr(error, name, None) for name in ("finding", "path", "remedy")}
        return explain_event({"kind": type(error).__name__, "message": str(error), **fields}, interpreter)
    found = _known(f"{type(error).__name__}: {error}", interpreter)
    if found is not None:
        return found
    if not isinstance(error, OSError):
        return explain_event({"kind": type(error).__name__, "message": str(error)}, interpreter)
    reason, name = error.strerror or str(error), error.filename
    if name is not None and str(name) != str(interpreter.path):
        message = f"The CT cannot be handed over to the segmentation ({name}: {reason})."
        return Failure("CannotStart", message, "See whether the temporary folder can be written to.")
    return Failure(
        "CannotStart",
        f"{interpreter.path} cannot be started ({reason}).",
        "Choose another Python in the section Advanced, or Slicer's own.",
    )


def no_answer(interpreter: Interpreter, seconds: float) -> Failure:
    """A process that says nothing."""
    return Failure(
        "NoAnswer",
        f"{interpreter.path} runs but did not answer within {seconds:.0f} s.",
        "Try again; if it stays so, choose another Python in the section Advanced.",
    )


def _known(text: str, interpreter: Interpreter) -> Failure | None:
    low = text.lower()
    old = _OLD_PYTHON.search(text)
    if old:
        return Failure(
            "WrongPython",
            f"{interpreter.path} is Python {old[2]}, and the segmentation needs {old[1]} or newer.",
            "Choose another Python in the section Advanced, or Slicer's own.",
        )
    if "no space left on device" in low or "not enough space on the disk" in low or "disk quota exceeded" in low:
        return Failure("DiskFull", "The disk is full.", "Make room in the temporary folder, and start again.")
    if "cuda" in low and "out of memory" in low:
        return Failure(
            "OutOfMemory", "The graphics card ran out of memory.", "Close other programs, or choose the device cpu."
        )
    if any(phrase in low for phrase in _MEMORY):
        return Failure("OutOfMemory", "The run ended because memory ran out.", _LESS)
    missing = _MISSING.search(text)
    if missing and "ModuleNotFoundError" in text:
        return _missing(missing[1].partition(".")[0], interpreter)
    if any(phrase in low for phrase in _BROKEN):
        return _broken(interpreter, _last_words(text).removeprefix(": ") or "its libraries do not fit")
    return None


def _missing(package: str, interpreter: Interpreter) -> Failure:
    needed = {**BROUGHT_BY_SLICER, **ENGINES, **REQUIREMENTS}
    message = f"The package {title(package)} is missing in {interpreter.path}."
    if interpreter.own or package not in needed:
        return Failure("MissingPackage", message, _CHECK)
    remedy = f'Install it there: "{interpreter.path}" -m pip install "{needed[package] or package}"'
    return Failure("MissingPackage", message, remedy)


def _broken(interpreter: Interpreter, detail: str) -> Failure:
    return Failure(
        "BrokenPackage",
        f"A package in {interpreter.path} cannot be loaded ({detail}).",
        "Install it anew, or choose another Python in the section Advanced.",
    )


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if not re.match(r"[a-z]\w*[/\\.]|[a-z]:", text) else f"{text}."


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_words(errors: str) -> str:
    """The last exception in a text, else its last line; as the end of a clause, or ""."""
    exceptions = _EXCEPTION.findall(errors)
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    words = ": ".join(filter(None, exceptions[-1])) if exceptions else lines[-1] if lines else ""
    words = words if len(words) <= 160 else f"{words[:157]}..."
    return f": {words}" if words else ""
