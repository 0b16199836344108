"""A Slicer scene and a Slicer-like application without the Slicer application, for tests.

The scene, its nodes and its logics are Slicer's own (``slicer-core`` from PyPI). Qt, ctk and the qMRML widgets are not
in that package: here they are stand-ins on PySide6 which follow PythonQt's calling conventions and work on the real
scene. What only the application can show is not tested by this.

Modules: ``scene`` (the scene and its logics), ``messages`` (every VTK warning and error), ``pythonqt`` (the ``qt``
module), ``dialogs`` (answers of the user), ``ctk_widgets``, ``qmrml_widgets``, ``ui_loader``, ``application``
(``slicer.app``), ``modules`` (loading and opening a scripted module), ``installation`` and ``sample_data`` (what a
module hands over to Slicer for that), ``segment_editor`` (scripted effects), ``views`` (slice and 3D views),
``view_widgets`` and ``window`` (a whole main window, pictures), ``ui_lint`` (a panel against the real API),
``stand_ins`` (all of them by name), ``slicer_python`` (what Slicer's own Python folder holds).
"""
