"""Every class of the harness that stands for one of the application, by the application's name."""

from __future__ import annotations

from . import application, ctk_widgets, modules, qmrml_widgets, segment_editor, view_widgets, window


def stand_ins() -> dict[str, type]:
    """All of them; ``ui_lint.extract`` keeps the API of these names in ``api/``."""
    return {
        **ctk_widgets.WIDGETS,
        **qmrml_widgets.WIDGETS,
        "qSlicerApplication": application.qSlicerApplication,
        "qSlicerModuleManager": modules.ModuleManager,
        "qSlicerModuleFactoryManager": modules._FactoryManager,
        "qSlicerScriptedLoadableModule": modules.qSlicerScriptedLoadableModule,
        "qSlicerScriptedLoadableModuleWidget": modules.qSlicerScriptedLoadableModuleWidget,
        "qSlicerLayoutManager": window.LayoutManager,
        "qSlicerMainWindow": window.MainWindow,
        "qMRMLSliceWidget": view_widgets.qMRMLSliceWidget,
        "qMRMLSliceView": view_widgets.qMRMLSliceView,
        "qMRMLThreeDWidget": view_widgets.qMRMLThreeDWidget,
        "qMRMLThreeDView": view_widgets.qMRMLThreeDView,
        "qSlicerSegmentEditorScriptedEffect": segment_editor.qSlicerSegmentEditorScriptedEffect,
    }


# Callable in the application although no header says so: decorators of its Python layer, and names of this harness.
BESIDE_THE_API = {
    "qSlicerApplication": {"testingEnabled", "prepare"},
    "qSlicerScriptedLoadableModule": {"logic", "widgetRepresentation"},
    "qSlicerMainWindow": {"slice_widget", "three_d_widget", "show_volume", "scroll_to", "save"},
    "qMRMLSliceWidget": {"close_view", "harness_view"},
    "qMRMLSliceView": {"close_view", "paintEngine"},
    "qMRMLThreeDWidget": {"close_view", "harness_view"},
    "qMRMLThreeDView": {"close_view", "paintEngine"},
}
