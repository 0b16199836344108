"""The base classes of a scripted module, as small as tests need them; names and arguments are Slicer's."""

from __future__ import annotations

import os
import unittest

import qt
import slicer

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]


class ScriptedLoadableModule:
    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__

    def resourcePath(self, filename):
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        return (
            f'<p>See <a href="{slicer.app.moduleDocumentationUrl(docPage or self.moduleName)}">documentation</a>.</p>'
        )

    def runTest(self, msec=100, **kwargs):
        case = getattr(slicer.modules, self.moduleName + "Instance").__class__.__module__
        return __import__(case).__dict__[self.moduleName + "Test"]().runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.developerMode = False
        if parent is None:
            self.parent = slicer.qMRMLWidget()
            qt.QVBoxLayout(self.parent)
            self.parent.setMRMLScene(slicer.mrmlScene)
        else:
            self.parent = parent
        self.layout = self.parent.layout()

    def resourcePath(self, filename):
        module = getattr(slicer.modules, self.moduleName.lower())
        return os.path.join(os.path.dirname(module.path), "Resources", filename)

    def setup(self):
        pass

    def cleanup(self):
        pass

    def onReload(self):
        """In the application: ``slicer.util.reloadScriptedModule``, which loads the file again and opens it."""


class ScriptedLoadableModuleLogic:
    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self):
        for number in range(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScriptedModuleNode")):
            node = slicer.mrmlScene.GetNthNodeByClass(number, "vtkMRMLScriptedModuleNode")
            if node.GetAttribute("ModuleName") == self.moduleName:
                return node
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def createParameterNode(self):
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(self.moduleName)
        node.SetModuleName(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(self.moduleName)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.messages = []

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        self.messages.append(message)

    def runTest(self):
        """Every ``test_*`` method, each on an empty scene; a failure is raised."""
        for name in sorted(dir(self)):
            if name.startswith("test_"):
                self.setUp()
                getattr(self, name)()
                self.tearDown()
