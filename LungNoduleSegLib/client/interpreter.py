"""The Python that runs the segmentation: Slicer's own, or another one that has what computes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from LungNoduleSegLib.client.requirements import OLDEST_PYTHON
from LungNoduleSegLib.errors import InputError

_REMEDY = (
    "Choose the program python (python.exe on Windows) of a Python that has ONNX Runtime, OpenVINO or PyTorch, "
    "or Slicer's own."
)

# What Slicer sets for itself and would lead another Python to Slicer's packages and libraries.
_OF_SLICER = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONSTARTUP", "LD_LIBRARY_PATH", "LD_PRELOAD",
    "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "DYLD_INSERT_LIBRARIES", "QT_PLUGIN_PATH", "SSL_CERT_FILE",
)  # fmt: skip

# Runs the library from where it lies without that folder coming onto sys.path, where its neighbours (Slicer's modules,
# or the packages of another Python version) would stand before the interpreter's own. Any Python can read it.
_BOOTSTRAP = """import sys
if sys.version_info < {oldest}:
    sys.exit('LungNoduleSeg needs Python {wanted} or newer, this one is ' + sys.version.split()[0])
if sys.path and sys.path[0] == '':
    del sys.path[0]
import importlib.util, os
folder = {folder}
spec = importlib.util.spec_from_file_location(
    'LungNoduleSegLib', os.path.join(folder, '__init__.py'), submodule_search_locations=[folder])
package = importlib.util.module_from_spec(spec)
sys.modules['LungNoduleSegLib'] = package
spec.loader.exec_module(package)
from LungNoduleSegLib import runner
runner.run(sys.argv[1:])
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python program.

    Attributes
    ----------
    path
        The program.
    own
        Whether it is the Python of this application, which keeps the application's environment.
    """

    path: Path
    own: bool

    @staticmethod
    def default() -> Interpreter:
        """In Slicer its own Python, elsewhere the one that runs this.

        Slicer's Python is started without its launcher PythonSlicer where possible: the application has set up the same
        environment already, and not every version of the launcher hands on its standard input.
        """
        home = os.environ.get("SLICER_HOME")
        if home:
            suffix = ".exe" if sys.platform == "win32" else ""
            launcher = shutil.which("PythonSlicer")
            folders = [Path(home) / "bin", *([Path(launcher).parent] if launcher else []), Path(sys.executable).parent]
            for name in ("python-real", "PythonSlicer"):
                for folder in folders:
                    if (folder / (name + suffix)).is_file():
                        return Interpreter(folder / (name + suffix), own=True)
        return Interpreter(Path(sys.executable), own=True)

    @staticmethod
    def at(path: str | PathLike[str]) -> Interpreter:
        """Another Python.

        Raises
        ------
        InputError
            If there is no such file, or it is no program.
        """
        given = Path(path).expanduser()
        if given.is_dir():
            raise InputError("is a folder, not a Python program", path=path, remedy=_REMEDY)
        if not given.is_file():
            raise InputError("there is no such file", path=path, remedy=_REMEDY)
        if not os.access(given, os.X_OK) or (sys.platform == "win32" and given.suffix.lower() not in (".exe", ".bat")):
            raise InputError("is no program that can be run", path=path, remedy=_REMEDY)
        # Made absolute, but no link followed: the Python of a virtual environment is a link.
        program = Path(os.path.abspath(given))  # noqa: PTH100
        if program == Interpreter.default().path:
            return Interpreter.default()
        return Interpreter(program, own=False)

    def command(self, *arguments: str | PathLike[str]) -> list[str]:
        """Command line that runs this library's runner in that Python, wherever the library is installed.

        It consists of ASCII only, but for the program's path and what is given here.
        """
        folder = Path(__file__).resolve().parents[1]
        wanted = ".".join(map(str, OLDEST_PYTHON))
        code = _BOOTSTRAP.format(oldest=OLDEST_PYTHON, wanted=wanted, folder=ascii(str(folder)))
        return [str(self.path), "-c", code, *(os.fspath(argument) for argument in arguments)]

    def environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment to start it with.

        Parameters
        ----------
        base
            That of this process if not given. In Slicer give ``slicer.util.startupEnvironment()`` for another Python.

        Returns
        -------
        A copy; for another Python without what leads to this application's packages and libraries.
        """
        found = dict(os.environ if base is None else base)
        if not self.own:
            home = found.pop("SLICER_HOME", "")
            for name in _OF_SLICER:
                found.pop(name, None)
            if home and found.get("PATH"):
                kept = [folder for folder in found["PATH"].split(os.pathsep) if not Path(folder).is_relative_to(home)]
                found["PATH"] = os.pathsep.join(kept)
        found["PYTHONIOENCODING"] = "utf-8"
        return found
