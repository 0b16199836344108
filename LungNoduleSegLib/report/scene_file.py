"""``scene.mrb``, written by slicer-core in a process of its own: its VTK and libraries never meet those of torch.

``python -m LungNoduleSegLib.report.scene_file RESULT.npz SCENE.mrb NAME`` is that process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from LungNoduleSegLib.report.processes import library_environment
from LungNoduleSegLib.report.saved import load_result, save_result

WITHOUT_SLICER = (
    "scene.mrb was left out: it needs the package slicer-core (pip install 'lungnoduleseg[slicer]'); "
    "nodules.seg.nrrd opens in Slicer too."
)
TIMEOUT_S = 600


class SceneFile:
    """Writes the scene while the caller does something else.

    Parameters
    ----------
    path
        The .mrb file.
    result
        What to write.
    name
        Name of the CT in the scene.
    """

    def __init__(self, path: str | Path, result: Any, name: str):
        self.path = Path(path)
        self._process: subprocess.Popen | None = None
        self._folder: tempfile.TemporaryDirectory | None = None
        if find_spec("slicer") is None:
            return
        self._folder = tempfile.TemporaryDirectory(prefix="lns-", ignore_cleanup_errors=True)
        handed = Path(self._folder.name, "result.npz")
        save_result(handed, result, with_ct=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "LungNoduleSegLib.report.scene_file", str(handed), str(self.path), name],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=library_environment(),
        )  # fmt: skip

    def finish(self) -> str | None:
        """Waits; None where the file is there, else a sentence that says why it is not."""
        if self._process is None:
            return WITHOUT_SLICER
        try:
            _, said = self._process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return f"scene.mrb was left out: writing it took longer than {TIMEOUT_S} s."
        finally:
            self.stop()
        if self._process.returncode == 0 and self.path.is_file():
            return None
        self.path.unlink(missing_ok=True)
        lines = said.decode(errors="replace").strip().splitlines()
        return f"scene.mrb was left out: {lines[-1] if lines else f'exit code {self._process.returncode}'}"

    def stop(self) -> None:
        """Ends the process if it still runs and removes what was handed to it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()


def _work(source: str, target: str, name: str) -> int:
    from LungNoduleSegLib.errors import LungNoduleSegError
    from LungNoduleSegLib.mrml import write_scene_mrb

    try:
        write_scene_mrb(target, load_result(source), name=name)
    except LungNoduleSegError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_work(*sys.argv[1:4]))
