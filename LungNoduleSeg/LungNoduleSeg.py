"""The LungNoduleSeg module of 3D Slicer: a panel over the library LungNoduleSegLib.

Its parts lie in the package LungNoduleSegPanel beside this file. At file scope nothing is imported but what Slicer
brings: the library, and torch far more, only when it is used.
"""

import importlib.util
import sys
from pathlib import Path


def _findPackages():
    """The panel's package lies beside this file, and so does the library in an installed extension; in a checkout the
    library lies one folder higher."""
    here = Path(__file__).resolve().parent
    for name, folder in (("LungNoduleSegPanel", here), ("LungNoduleSegLib", here), ("LungNoduleSegLib", here.parent)):
        if importlib.util.find_spec(name) is None and (folder / name / "__init__.py").is_file():
            sys.path.append(str(folder))


_findPackages()

import slicer  # noqa: E402
from LungNoduleSegPanel import texts  # noqa: E402
from LungNoduleSegPanel.logic import LungNoduleSegLogic, Outcome  # noqa: E402
from LungNoduleSegPanel.parameters import LungNoduleSegParameterNode  # noqa: E402
from LungNoduleSegPanel.self_test import LungNoduleSegTest  # noqa: E402
from LungNoduleSegPanel.widget import LungNoduleSegWidget  # noqa: E402
from slicer.i18n import tr as _  # noqa: E402
from slicer.ScriptedLoadableModule import ScriptedLoadableModule  # noqa: E402

__all__ = [
    "LungNoduleSeg",
    "LungNoduleSegLogic",
    "LungNoduleSegParameterNode",
    "LungNoduleSegTest",
    "LungNoduleSegWidget",
    "Outcome",
]


class LungNoduleSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Lung Nodule Segmentation")
        self.parent.categories = [_("Segmentation")]
        self.parent.dependencies = ["Segmentations", "Markups", "SubjectHierarchy"]
        self.parent.contributors = ["The LungNoduleSeg authors"]
        self.parent.helpText = texts.HELP + self.getDefaultModuleDocumentationLink("LungNoduleSeg")
        self.parent.acknowledgementText = texts.ACKNOWLEDGEMENT
        slicer.app.connect("startupCompleted()", self.onStartupCompleted)

    def onStartupCompleted(self):
        """What needs other modules: sample data, and the effect of the Segment Editor."""
        from LungNoduleSegPanel import sample_data
        from LungNoduleSegPanel.SegmentEditorLungNoduleLib.registration import registerEffect

        sample_data.register()
        registerEffect()
