# A stand-in for the configuration file of a Slicer build tree, enough to configure, install and pack this extension.
# Stricter than the original where the original is silent: a file that does not exist, a missing field of the description.

set(Slicer_VERSION 5.12)
set(Slicer_REVISION 00000)
set(Slicer_USE_PYTHONQT ON)
set(Slicer_INSTALL_ROOT "./")
set(Slicer_SHARE_DIR "share/Slicer-${Slicer_VERSION}")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-${Slicer_VERSION}/qt-scripted-modules")

set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/SlicerExtensionGenerateConfig.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/SlicerExtensionCPack.cmake)
