"""What the application offers for installing Python packages; here nothing is ever installed, only noted.

By default this is Slicer 5.10: there is no ``slicer.packaging``, and ``slicer.util.pip_install`` notes what it is given
in :data:`installed`. A test that wants a later Slicer calls ``provide_packaging(monkeypatch)``; one that wants the
PyTorch extension ``provide_pytorch(monkeypatch, ...)``.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

installed: list[tuple[str, object, dict]] = []
"""(function, requirements, keyword arguments) of every call that would have installed something."""


def install() -> None:
    """Put the recorder in the place of ``slicer.util.pip_install`` and ``pip_uninstall``."""
    import slicer

    slicer.util.pip_install = pip_install
    slicer.util.pip_uninstall = pip_uninstall


def pip_install(requirements, **kwargs):
    installed.append(("pip_install", requirements, kwargs))


def pip_uninstall(requirements, **kwargs):
    installed.append(("pip_uninstall", requirements, kwargs))


def provide_packaging(monkeypatch, on_ensure=None):
    """Make ``slicer.packaging`` (Slicer 5.11 and later) importable for one test; returns the module.

    on_ensure - called with the list of requirements by pip_ensure, in the place of the installation.
    """
    from packaging.requirements import Requirement

    module = types.ModuleType("slicer.packaging", __doc__)

    def pip_ensure(
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        wanted = requirements if isinstance(requirements, list) else [requirements]
        wanted = [entry if isinstance(entry, Requirement) else Requirement(entry) for entry in wanted]
        installed.append(("pip_ensure", wanted, {"prompt_install": prompt_install, "requester": requester}))
        if on_ensure is not None:
            on_ensure(wanted)

    def load_requirements(path):
        lines = (line.partition("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
        return [Requirement(line) for line in lines if line]

    def pip_check(req, _seen=None):
        from importlib.metadata import PackageNotFoundError, version

        for entry in req if isinstance(req, list) else [req]:
            wanted = entry if isinstance(entry, Requirement) else Requirement(entry)
            try:
                if not wanted.specifier.contains(version(wanted.name), prereleases=True):
                    return False
            except PackageNotFoundError:
                return False
        return True

    module.pip_ensure, module.load_requirements, module.pip_check = pip_ensure, load_requirements, pip_check
    module.pip_install, module.pip_uninstall = pip_install, pip_uninstall
    import slicer

    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    monkeypatch.setattr(slicer, "packaging", module, raising=False)
    return module


def provide_pytorch(monkeypatch, torch=None, on_install=None):
    """Make ``PyTorchUtils`` (the PyTorch extension) importable for one test; returns the module.

    torch - what installTorch and the property torch return; None: the installation did not succeed.
    on_install - called with the keyword arguments in the place of the installation.
    """
    module = types.ModuleType("PyTorchUtils", __doc__)

    class PyTorchUtilsLogic:
        def installTorch(
            self,
            askConfirmation=False,
            forceComputationBackend=None,
            torchVersionRequirement=None,
            torchvisionVersionRequirement=None,
        ):
            given = {
                "askConfirmation": askConfirmation,
                "forceComputationBackend": forceComputationBackend,
                "torchVersionRequirement": torchVersionRequirement,
                "torchvisionVersionRequirement": torchvisionVersionRequirement,
            }
            installed.append(("installTorch", "torch", given))
            if on_install is not None:
                on_install(given)
            return torch

        @staticmethod
        def torchInstalled():
            return torch is not None

    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", module)
    return module
