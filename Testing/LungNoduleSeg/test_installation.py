"""Installation: only after asking, only into Slicer's own Python, and with a plain sentence when it fails."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path

import pytest
import slicer
from slicer_harness.application import PANEL, REPOSITORY

from LungNoduleSegLib.client.interpreter import Interpreter


@pytest.fixture
def installation(scene, monkeypatch):
    monkeypatch.syspath_prepend(str(PANEL.parent))
    from LungNoduleSegPanel import installation

    slicer.app.userSettings().remove("LungNoduleSeg")
    yield installation
    slicer.app.userSettings().remove("LungNoduleSeg")


@pytest.fixture
def without(monkeypatch):
    """Packages that are not installed, as far as find_spec tells."""
    missing = set()
    usual = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in missing else usual(name, *rest)
    )
    return missing


@pytest.fixture
def user(monkeypatch):
    """What the user is asked and told, and what is answered."""
    user = types.SimpleNamespace(answer=True, asked=[], errors=[], warnings=[])

    def confirm(text, windowTitle=None, parent=None):
        user.asked.append(text)
        return user.answer

    monkeypatch.setattr(slicer.app, "_testing", False)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, *more, **named: user.errors.append(text))
    monkeypatch.setattr(slicer.util, "warningDisplay", lambda text, *more, **named: user.warnings.append(text))
    return user


@pytest.fixture
def extension(monkeypatch):
    """The PyTorch extension; `torch` is what its installation gives."""
    extension = types.ModuleType("PyTorchUtils")
    extension.calls, extension.torch = [], object()

    class PyTorchUtilsLogic:
        def installTorch(
            self,
            askConfirmation=True,
            forceComputationBackend="cpu",
            torchVersionRequirement=None,
            torchvisionVersionRequirement=None,
        ):
            extension.calls.append((askConfirmation, forceComputationBackend, torchVersionRequirement))
            if isinstance(extension.torch, Exception):
                raise extension.torch
            return extension.torch

    extension.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", extension)
    return extension


@pytest.fixture
def pip(monkeypatch):
    """Slicer 5.12's own packaging; `error` is what it raises."""
    packaging = types.ModuleType("slicer.packaging")
    packaging.calls, packaging.error = [], None

    def pip_ensure(requirements, **options):
        packaging.calls.append(([str(requirement) for requirement in requirements], options))
        if packaging.error is not None:
            raise packaging.error

    packaging.pip_ensure = pip_ensure
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    return packaging


def program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


# What is missing


def test_looking_for_packages_imports_nothing(installation, without):
    loaded = set(sys.modules)
    without |= {"torch", "onnxruntime", "openvino", "safetensors"}
    assert installation.missingPackages() == ["onnxruntime", "safetensors"]
    without -= {"torch"}
    assert installation.missingPackages(Interpreter.default()) == ["safetensors"]
    assert not ({"torch", "onnxruntime", "openvino", "safetensors"} & set(sys.modules)) - loaded


def test_one_engine_is_enough_but_a_graphics_card_needs_torch(installation, without):
    assert installation.missingPackages(device="cuda") == []
    without |= {"torch"}
    assert installation.missingPackages() == installation.missingPackages(device="cpu") == []
    assert installation.missingPackages(device="cuda:1") == installation.missingPackages(device="mps") == ["torch"]


def test_nothing_is_claimed_about_another_python(installation, without, tmp_path):
    without |= {"torch", "onnxruntime", "openvino", "safetensors"}
    assert installation.missingPackages(Interpreter.at(program(tmp_path / "python"))) == []


def test_the_command_for_another_python_can_be_pasted(installation, tmp_path):
    other = Interpreter.at(program(tmp_path / "python 3"))
    command = installation.pipCommand(other, ["torch", "onnxruntime", "safetensors", "numpy"])
    assert command == (
        f'"{other.path}" -m pip install "torch>=2.2" "onnxruntime>=1.18" "safetensors>=0.4" "numpy>=1.24"'
    )


def test_the_oldest_torch_is_that_of_the_package(installation):
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"torch{installation.TORCH_REQUIREMENT}",' in project


def test_the_chosen_interpreter_is_used(installation, tmp_path):
    from LungNoduleSegPanel import settings

    assert installation.chosenInterpreter() == Interpreter.default()
    other = program(tmp_path / "python")
    settings.setInterpreterPath(str(other))
    assert installation.chosenInterpreter() == Interpreter(other, own=False)


# Installing


def test_torch_through_the_extension_and_the_rest_with_slicers_packaging(installation, extension, pip):
    assert installation.install(["torch", "safetensors"]) == []
    assert extension.calls == [(False, None, ">=2.2")]
    assert pip.calls == [(["safetensors>=0.4"], {"prompt_install": False, "requester": "LungNoduleSeg"})]


def test_onnx_runtime_with_slicers_packaging(installation, extension, pip):
    assert installation.install(["onnxruntime", "safetensors"]) == []
    assert extension.calls == [] and pip.calls[0][0] == ["onnxruntime>=1.18", "safetensors>=0.4"]


def test_an_older_extension_gets_only_what_it_knows(installation, extension, monkeypatch):
    calls = []

    class PyTorchUtilsLogic:
        def installTorch(self, askConfirmation=True):
            calls.append(askConfirmation)
            return object()

    monkeypatch.setattr(extension, "PyTorchUtilsLogic", PyTorchUtilsLogic)
    installation.install(["torch"])
    assert calls == [False]


def test_slicer_5_10_installs_with_pip_install(installation, monkeypatch):
    calls = []
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)  # it has no such module
    monkeypatch.setattr(slicer.util, "pip_install", calls.append)
    installation.install(["safetensors"])
    assert calls == ["safetensors>=0.4"]


def test_without_the_extension_it_says_what_to_do(installation, monkeypatch, pip):
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(RuntimeError, match="Install it with the Extensions Manager, restart Slicer, and try again"):
        installation.install(["torch", "safetensors"])
    assert pip.calls == []


@pytest.mark.parametrize("given", [None, subprocess.CalledProcessError(1, "pip"), ImportError("numpy 1 is needed")])
def test_a_failure_of_the_extension_is_a_sentence(installation, extension, given):
    extension.torch = given
    with pytest.raises(RuntimeError, match=r"^PyTorch could not be installed\. Check the network"):
        installation.install(["torch"])


def test_a_failure_of_pip_is_a_sentence(installation, pip):
    pip.error = subprocess.CalledProcessError(1, "pip install")
    with pytest.raises(RuntimeError, match=r"^safetensors>=0.4 could not be installed\. Check the network") as caught:
        installation.install(["safetensors"])
    assert "exit status" not in str(caught.value)


def test_a_replaced_package_of_slicer_is_told(installation, pip, monkeypatch):
    versions = iter([{"numpy": "2.4.0", "scipy": "1.16"}, {"numpy": "1.26.4", "scipy": "1.16"}])
    monkeypatch.setattr(installation, "_versions", lambda: next(versions))
    (remark,) = installation.install(["safetensors"])
    assert remark.startswith("The installation replaced numpy 2.4.0 by 1.26.4. Restart Slicer")


def test_the_versions_that_are_compared_are_real(installation):
    import numpy

    assert installation._versions()["numpy"] == numpy.__version__


# Asking


def test_nothing_is_asked_when_nothing_is_missing(installation, without, user):
    assert installation.offerInstallation()
    assert user.asked == []


def test_nothing_is_installed_without_a_yes(installation, without, user, extension, pip):
    without |= {"torch", "safetensors"}
    user.answer = False
    assert not installation.offerInstallation(device="cuda")
    assert "PyTorch, safetensors" in user.asked[0] and "Slicer's Python" in user.asked[0]
    assert extension.calls == pip.calls == [] and user.errors == []


def test_after_a_yes_it_is_installed_and_the_run_can_start(installation, without, user, pip, monkeypatch):
    without |= {"safetensors"}
    monkeypatch.setattr(pip, "pip_ensure", lambda requirements, **options: without.clear())
    assert installation.offerInstallation()
    assert len(user.asked) == 1 and user.errors == user.warnings == []


@pytest.mark.parametrize("chosen", ["onnxruntime", "torch"])
def test_the_user_chooses_what_computes(installation, without, user, extension, pip, monkeypatch, chosen):
    from slicer_harness.dialogs import dialogs

    without |= {"torch", "onnxruntime", "openvino", "safetensors"}
    given = []

    def install(packages):
        given.append(packages)
        without.difference_update(packages)
        return []

    monkeypatch.setattr(installation, "install", install)
    dialogs.answer("message", {"onnxruntime": "ONNX Runtime", "torch": "PyTorch"}[chosen])
    assert installation.offerInstallation()
    assert given == [[chosen, "safetensors"]] and user.asked == user.errors == []
    text = dialogs.asked[-1].text
    assert "about 30 MB" in text and "graphics cards" in text and "Needed with either of them: safetensors." in text


def test_nothing_is_installed_without_a_choice(installation, without, user, extension, pip):
    from slicer_harness.dialogs import dialogs

    without |= {"torch", "onnxruntime", "openvino"}
    dialogs.answer("message", "Cancel")
    assert not installation.offerInstallation()
    assert extension.calls == pip.calls == [] and user.errors == []


def test_what_did_not_arrive_is_told(installation, without, user, pip):
    without |= {"safetensors"}
    assert not installation.offerInstallation()
    assert user.errors == ["safetensors did not get installed; Slicer's log says why."]


def test_an_error_is_shown_as_a_sentence(installation, without, user, pip):
    without |= {"safetensors"}
    pip.error = subprocess.CalledProcessError(1, "pip install")
    assert not installation.offerInstallation()
    assert len(user.errors) == 1 and user.errors[0].startswith("safetensors>=0.4 could not be installed.")


def test_remarks_are_shown(installation, without, user, monkeypatch):
    without |= {"safetensors"}

    def install(packages):
        without.clear()
        return ["The installation replaced numpy."]

    monkeypatch.setattr(installation, "install", install)
    assert installation.offerInstallation()
    assert user.warnings == ["The installation replaced numpy."]


def test_nothing_is_installed_into_another_python(installation, without, user, extension, pip, tmp_path):
    from LungNoduleSegPanel import settings

    without |= {"torch", "onnxruntime", "openvino", "safetensors"}
    settings.setInterpreterPath(str(program(tmp_path / "python")))
    assert installation.offerInstallation()
    assert user.asked == [] and extension.calls == pip.calls == []


def test_a_python_that_is_gone_is_told(installation, user, tmp_path):
    from LungNoduleSegPanel import settings

    settings.setInterpreterPath(str(tmp_path / "gone"))
    assert not installation.offerInstallation()
    assert len(user.errors) == 1 and "there is no such file" in user.errors[0]


def test_a_test_of_slicer_changes_no_python(installation, without, user, extension, pip, monkeypatch):
    monkeypatch.setattr(slicer.app, "_testing", True)
    without |= {"torch", "onnxruntime", "openvino", "safetensors"}
    assert not installation.offerInstallation()
    assert user.asked == [] and extension.calls == pip.calls == []
