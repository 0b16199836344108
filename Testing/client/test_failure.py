"""Exit codes and last words become sentences that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from LungNoduleSegLib.client.failure import explain_error, explain_event, explain_exit
from LungNoduleSegLib.client.interpreter import Interpreter
from LungNoduleSegLib.errors import InputError, WeightsError
from LungNoduleSegLib.runner import describe_error

OWN = Interpreter(Path("/Slicer/bin/python-real"), own=True)
OTHER = Interpreter(Path("/conda/bin/python"), own=False)

TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 3, in <module>
    {line}
{words}
"""


@pytest.mark.parametrize(
    ("code", "errors", "kind", "said"),
    [
        (-9, "", "OutOfMemory", "most likely because memory ran out"),
        (137, "", "OutOfMemory", "most likely because memory ran out"),
        (1, "terminate called after throwing an instance of 'std::bad_alloc'", "OutOfMemory", "memory ran out"),
        (1, TRACEBACK.format(line="a", words="numpy._core._exceptions._ArrayMemoryError: Unable to allocate 4 GiB"),
         "OutOfMemory", "memory ran out"),
        (1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 MiB", "OutOfMemory", "graphics card"),
        (0xC0000017, "", "OutOfMemory", "memory ran out"),
        (-11, "", "Crash", "SIGSEGV"),
        (139, "", "Crash", "SIGSEGV"),
        (0xC0000005, "", "Crash", "0xC0000005"),
        (-1073741819, "", "Crash", "0xC0000005"),
        (0xC0000409, "", "Crash", "0xC0000409"),
        (-4, "", "Crash", "this processor does not have"),
        (0xC000001D, "", "Crash", "this processor does not have"),
        (0xC0000135, "", "BrokenPackage", "0xC0000135"),
        (1, "error: [/Slicer/bin/python-real] exit abnormally - Report the problem.", "Crash", "memory ran out"),
        (-15, "", "Killed", "SIGTERM"),
        (1, TRACEBACK.format(line="import torch", words="ModuleNotFoundError: No module named 'torch._C'"),
         "MissingPackage", "The package PyTorch is missing"),
        (1, TRACEBACK.format(line="import torch", words="ImportError: libcudart.so.12: cannot open shared object file"),
         "BrokenPackage", "libcudart.so.12"),
        (1, TRACEBACK.format(line="import torch", words="OSError: [WinError 126] Not found. Error loading c10.dll"),
         "BrokenPackage", "c10.dll"),
        (1, "OSError: [Errno 28] No space left on device: '/tmp/r.npz'", "DiskFull", "disk is full"),
        (1, "LungNoduleSeg needs Python 3.10 or newer, this one is 2.7.18", "WrongPython", "is Python 2.7.18"),
        (1, TRACEBACK.format(line="a", words="KeyError: 'x'"), "Ended", "exit code 1: KeyError: 'x'"),
        (0, "", "Ended", "without a result (exit code 0)"),
        (3, "x" * 1000, "Ended", "..."),
    ],
)  # fmt: skip
def test_an_end_without_a_word_is_explained(code, errors, kind, said):
    failure = explain_exit(code, errors, OWN, ready=True)
    assert failure.kind == kind and said in failure.message
    for sentence in (failure.message, failure.remedy):
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 400
    assert failure.event() == {
        "event": "error", "kind": kind, "message": failure.message, "remedy": failure.remedy,
    }  # fmt: skip


def test_before_the_first_word_the_python_is_to_blame():
    failure = explain_exit(1, "ls: unrecognized option", OTHER, ready=False)
    assert failure.kind == "CannotStart" and "/conda/bin/python" in failure.message.replace("\\", "/")
    assert "unrecognized option" in failure.message and "another Python" in failure.remedy


@pytest.mark.parametrize(
    ("package", "asked"), [("torch", '"torch"'), ("safetensors", '"safetensors>=0.4"'), ("numpy", "numpy>=")]
)
def test_a_missing_package_is_installed_where_it_is_missing(package, asked):
    event = describe_error(ModuleNotFoundError(f"No module named '{package}'"))
    inside, outside = explain_event(event, OWN), explain_event(event, OTHER)
    assert inside.kind == outside.kind == "MissingPackage"
    assert "section Model" in inside.remedy and "pip" not in inside.remedy
    assert f'{OTHER.path}" -m pip install' in outside.remedy and asked in outside.remedy


@pytest.mark.parametrize(
    ("error", "kind", "message", "remedy"),
    [
        (InputError("no lung was found in this CT", remedy="Give a chest CT."), "InputError",
         "No lung was found in this CT.", "Give a chest CT."),
        (InputError("is no lung mask", path="/a/b.npy"), "InputError", "/a/b.npy: is no lung mask.", ""),
        (WeightsError("weights are damaged", path="m.safetensors", remedy="Import them."), "WeightsError",
         "m.safetensors: weights are damaged.", "Import them."),
        (MemoryError(), "OutOfMemory", "The run ended because memory ran out.", None),
        (RuntimeError("CUDA error: out of memory"), "OutOfMemory", "The graphics card ran out of memory.", None),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), "OutOfMemory",
         "The run ended because memory ran out.", None),
        (RuntimeError("Numpy is not available"), "BrokenPackage", None, None),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError",
         "The run failed with an error of the program (ZeroDivisionError: division by zero).", None),
    ],
)  # fmt: skip
def test_errors_of_the_runner_are_explained(error, kind, message, remedy):
    failure = explain_event(describe_error(error), OWN)
    assert failure.kind == kind
    assert message is None or failure.message == message
    assert failure.remedy == remedy if remedy is not None else failure.remedy.endswith(".")


def test_errors_of_this_process_are_explained():
    disk = explain_error(OSError(28, "No space left on device", "/tmp/volume.npz"), OWN)
    assert disk.kind == "DiskFull"
    folder = explain_error(PermissionError(13, "Permission denied", "/tmp/lns-1"), OWN)
    assert folder.kind == "CannotStart" and "/tmp/lns-1: Permission denied" in folder.message
    program = explain_error(PermissionError(13, "Permission denied", str(OTHER.path)), OTHER)
    assert str(OTHER.path) in program.message and "another Python" in program.remedy
    grid = explain_error(InputError("belongs to a CT of another grid"), OWN)
    assert grid.message == "Belongs to a CT of another grid."
    assert explain_error(TypeError("x"), OWN).message == "The run failed with an error of the program (x)."
