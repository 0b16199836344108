"""What a run needs to be installed, and its installation: only ever on the user's action, after asking."""

import importlib
import importlib.metadata
import importlib.util
import inspect
import logging

import qt
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


def missingPackages(interpreter=None, device="auto"):
    """Import names of what a run needs and Slicer's own Python lacks; nothing is imported to find out.

    interpreter - LungNoduleSegLib.client.interpreter.Interpreter, None for Slicer's own. Of another Python nothing is
        known without starting it, which "Check installation" does: the list is empty then.
    device - what a run is given. Where nothing that computes is there, the smallest is named; a graphics card needs
        PyTorch.
    """
    from LungNoduleSegLib.client.requirements import ENGINES, REQUIREMENTS, missing_engine

    if interpreter is not None and not interpreter.own:
        return []
    importlib.invalidate_caches()
    engine = missing_engine([name for name in ENGINES if importlib.util.find_spec(name) is not None], device)
    others = [name for name in REQUIREMENTS if importlib.util.find_spec(name) is None]
    return [*filter(None, [engine]), *others]


def pipCommand(interpreter, packages):
    """The command that installs packages into another Python than Slicer's own, for the user to run."""
    from LungNoduleSegLib.client.requirements import BROUGHT_BY_SLICER

    needed = {**BROUGHT_BY_SLICER, **_requirements(), "torch": f"torch{TORCH_REQUIREMENT}"}
    return " ".join([f'"{interpreter.path}" -m pip install', *(f'"{needed.get(name) or name}"' for name in packages)])


def titles(packages):
    """Names of packages for a sentence, separated by commas."""
    from LungNoduleSegLib.client.requirements import title

    return ", ".join(title(name) for name in packages)


def offerInstallation(parent=None, device="auto"):
    """Ask, and install into Slicer's own Python what a run on a device lacks; True when it can start.

    Nothing is ever installed into another Python: what it lacks, "Check installation" and the run itself say.
    """
    from LungNoduleSegLib.errors import InputError

    try:
        interpreter = chosenInterpreter()
    except InputError as error:
        slicer.util.errorDisplay(str(error), parent=parent)
        return False
    missing = missingPackages(interpreter, device)
    return not missing or askAndInstall(missing, parent)


def askAndInstall(packages, parent=None):
    """Ask whether packages shall be installed into Slicer's own Python, and do so; True when they are there then.

    Where ONNX Runtime is among them, PyTorch can be chosen in its place. A failure is shown as a sentence. A test of
    Slicer never changes its Python.
    """
    if slicer.app.testingEnabled():
        logging.info("LungNoduleSeg: testing mode, %s not installed", ", ".join(packages))
        return False
    packages = _confirmed(packages, parent)
    if not packages:
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


def _confirmed(packages, parent):
    """What the user wants to be installed; nothing after a no."""
    if "onnxruntime" not in packages:
        question = _(
            "Segmentation needs the Python packages {packages}. Download and install them into Slicer's Python now? "
            "This can take minutes, in which Slicer may not react."
        ).format(packages=titles(packages))
        return packages if slicer.util.confirmOkCancelDisplay(question, _("Install packages"), parent) else []
    from LungNoduleSegLib.inference.engines.cores import nvidia_driver

    others = [name for name in packages if name != "onnxruntime"]
    said = [
        _("Segmentation needs ONNX Runtime or PyTorch. Download and install one of them into Slicer's Python now?"),
        _("ONNX Runtime is small (about 30 MB) and computes on the processor."),
        _("PyTorch is large (hundreds of MB, some GB for NVIDIA) and computes on graphics cards too."),
        _("An NVIDIA graphics card seems to be here: with PyTorch a run takes less time.") if nvidia_driver() else "",
        _("Needed with either of them: {packages}.").format(packages=titles(others)) if others else "",
        _("This can take minutes, in which Slicer may not react."),
    ]
    box = qt.QMessageBox(parent if parent is not None else slicer.util.mainWindow())
    box.setWindowTitle(_("Install packages"))
    box.setText(" ".join(filter(None, said)))
    buttons = {name: box.addButton(titles([name]), qt.QMessageBox.AcceptRole) for name in ("onnxruntime", "torch")}
    box.addButton(qt.QMessageBox.Cancel)
    box.setDefaultButton(buttons["torch" if nvidia_driver() else "onnxruntime"])
    box.exec_()
    clicked = box.clickedButton()
    chosen = [name for name, button in buttons.items() if button == clicked]
    box.deleteLater()
    return [*chosen, *others] if chosen else []


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
    """What can be installed for a run, by import name; the value is pip's requirement, None for torch."""
    from LungNoduleSegLib.client.requirements import ENGINES, REQUIREMENTS

    return {**ENGINES, **REQUIREMENTS}


def _pipInstall(requirements):
    try:
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # Slicer 5.10
            slicer.util.pip_install(" ".join(requirements))
            return
        from packaging.requirements import Requirement

        # Already asked.
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
