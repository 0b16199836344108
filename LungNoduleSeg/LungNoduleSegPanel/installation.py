"""What a run needs to be installed, and its installation: only ever on the user's action, after asking."""

import importlib
import importlib.metadata
import importlib.util
import inspect
import logging

import slicer
from slicer.i18n import tr as _

from . import settings

TORCH_REQUIREMENT = ">=2.2"
# Slicer brings them, and much of Slicer breaks with other versions.
KEPT_PACKAGES = ("numpy", "scipy", "SimpleITK", "vtk", "pydicom")


def chosenInterpreter():
    """The Python that runs the networks: Slicer's own, or the one that the user chose.

    Raises LungNoduleSegLib.errors.InputError where the chosen one is not there or cannot be started.
    """
    from LungNoduleSegLib.client.interpreter import Interpreter

    path = settings.interpreterPath()
    return Interpreter.at(path) if path else Interpreter.default()


def environmentFor(interpreter):
    """The environment to start a Python with: another one than Slicer's own must not find Slicer's libraries."""
    return None if interpreter.own else slicer.util.startupEnvironment()


def missingPackages(interpreter=None):
    """Import names of what a run needs and Slicer's own Python lacks; nothing is imported to find out.

    interpreter - LungNoduleSegLib.client.interpreter.Interpreter, None for Slicer's own. Of another Python nothing is
        known without starting it, which "Check installation" does: the list is empty then.
    """
    if interpreter is not None and not interpreter.own:
        return []
    importlib.invalidate_caches()
    return [name for name in _requirements() if importlib.util.find_spec(name) is None]


def pipCommand(interpreter, packages):
    """The command that installs packages into another Python than Slicer's own, for the user to run."""
    from LungNoduleSegLib.client.requirements import BROUGHT_BY_SLICER

    needed = {**BROUGHT_BY_SLICER, **_requirements(), "torch": f"torch{TORCH_REQUIREMENT}"}
    return " ".join([f'"{interpreter.path}" -m pip install', *(f'"{needed.get(name) or name}"' for name in packages)])


def titles(packages):
    """Names of packages for a sentence, separated by commas."""
    from LungNoduleSegLib.client.requirements import title

    return ", ".join(title(name) for name in packages)


def offerInstallation(parent=None):
    """Ask, and install into Slicer's own Python what is missing; True when a run can start.

    Nothing is ever installed into another Python: what it lacks, "Check installation" and the run itself say.
    """
    from LungNoduleSegLib.errors import InputError

    try:
        interpreter = chosenInterpreter()
    except InputError as error:
        slicer.util.errorDisplay(str(error), parent=parent)
        return False
    missing = missingPackages(interpreter)
    return not missing or askAndInstall(missing, parent)


def askAndInstall(packages, parent=None):
    """Ask whether packages shall be installed into Slicer's own Python, and do so; True when they are there then.

    A failure is shown as a sentence. A test of Slicer never changes its Python.
    """
    if slicer.app.testingEnabled():
        logging.info("LungNoduleSeg: testing mode, %s not installed", ", ".join(packages))
        return False
    question = _(
        "Segmentation needs the Python packages {packages}. Download and install them into Slicer's Python now? "
        "This can take minutes, in which Slicer may not react."
    )
    if not slicer.util.confirmOkCancelDisplay(
        question.format(packages=titles(packages)), _("Install packages"), parent
    ):
        return False
    try:
        remarks = install(packages)
    except Exception as error:
        logging.exception("LungNoduleSeg: the installation failed")
        slicer.util.errorDisplay(str(error), _("Install packages"), parent)
        return False
    for remark in remarks:
        slicer.util.warningDisplay(remark, _("Install packages"), parent)
    left = [name for name in packages if importlib.util.find_spec(name) is None]
    if left:
        text = _("{packages} did not get installed; Slicer's log says why.").format(packages=titles(left))
        slicer.util.errorDisplay(text, _("Install packages"), parent)
    return not left


def install(packages):
    """Install packages, by import name, into Slicer's own Python; torch through the PyTorch extension.

    Returns sentences about what the user should know: packages of Slicer that were replaced on the way.
    Raises RuntimeError, a sentence with a remedy, where that did not succeed.
    """
    before = _versions()
    if "torch" in packages:
        _installTorch()
    needed = _requirements()
    others = [needed.get(name) or name for name in packages if name != "torch"]
    if others:
        _pipInstall(others)
    importlib.invalidate_caches()
    after = _versions()
    text = _(
        "The installation replaced {package} {old} by {new}. Restart Slicer; where it fails then, install it anew."
    )
    return [
        text.format(package=name, old=old, new=after.get(name) or _("nothing"))
        for name, old in before.items()
        if after.get(name) != old
    ]


def _requirements():
    """What a run needs beside what Slicer brings, by import name; the value is pip's requirement, None for torch."""
    from LungNoduleSegLib.client.requirements import REQUIREMENTS

    return REQUIREMENTS


def _pipInstall(requirements):
    try:
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # Slicer 5.10
            slicer.util.pip_install(" ".join(requirements))
            return
        from packaging.requirements import Requirement

        # Already asked, together with torch.
        pip_ensure([Requirement(text) for text in requirements], prompt_install=False, requester="LungNoduleSeg")
    except Exception as error:
        raise RuntimeError(_couldNotInstall(", ".join(requirements))) from error


def _installTorch():
    try:
        import PyTorchUtils
    except ImportError as error:
        raise RuntimeError(
            _(
                "PyTorch comes with the extension PyTorch, which is not installed. Install it with the Extensions "
                "Manager, restart Slicer, and try again."
            )
        ) from error
    logic = PyTorchUtils.PyTorchUtilsLogic()
    wanted = {
        "askConfirmation": False,  # already asked
        "forceComputationBackend": None,  # the extension picks the build for this computer
        "torchVersionRequirement": TORCH_REQUIREMENT,
    }
    known = inspect.signature(logic.installTorch).parameters  # they differ between versions of the extension
    try:
        torch = logic.installTorch(**{name: value for name, value in wanted.items() if name in known})
    except Exception as error:
        raise RuntimeError(_couldNotInstall("PyTorch")) from error
    if torch is None:
        raise RuntimeError(_couldNotInstall("PyTorch"))


def _couldNotInstall(packages):
    return _(
        "{packages} could not be installed. Check the network, the proxy and the free disk space. What pip said is in "
        "Slicer's Python console and log."
    ).format(packages=packages)


def _versions():
    versions = {}
    for name in KEPT_PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
