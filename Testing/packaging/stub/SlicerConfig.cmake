# A stand-in for the configuration file of a Slicer build tree, enough to configure, install and pack this extension.
# Stricter than the original where the original is silent: a file that does not exist, a missing field of the description.

set(STAND_IN_VERSION "5.12" CACHE STRING "Slicer's version, major.minor: part of the paths in the package")
set(STAND_IN_REVISION "00000" CACHE STRING "Slicer's revision: first word of the package's name, and a path on macOS")
set(STAND_IN_OS "linux" CACHE STRING "linux, win or macosx")
set(STAND_IN_ARCHITECTURE "amd64" CACHE STRING "amd64 or arm64")
set(STAND_IN_SCM "local" CACHE STRING "What the original finds out of the working copy: git, or local")
set(STAND_IN_SCM_URL "NA" CACHE STRING "The repository's address")
set(STAND_IN_SCM_REVISION "NA" CACHE STRING "The commit")

set(Slicer_VERSION ${STAND_IN_VERSION})
set(Slicer_REVISION ${STAND_IN_REVISION})
set(Slicer_OS ${STAND_IN_OS})
set(Slicer_ARCHITECTURE ${STAND_IN_ARCHITECTURE})
set(Slicer_USE_PYTHONQT ON)
set(Slicer_INSTALL_ROOT "./")
if(Slicer_OS STREQUAL "macosx")
  set(Slicer_INSTALL_ROOT "Slicer.app/Contents/")
endif()
set(Slicer_SHARE_DIR "share/Slicer-${Slicer_VERSION}")
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-${Slicer_VERSION}/qt-scripted-modules")

set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/SlicerExtensionGenerateConfig.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/SlicerExtensionCPack.cmake)
