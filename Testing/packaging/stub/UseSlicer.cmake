set(EXTENSION_NAME ${PROJECT_NAME})
set(EXTENSION_SOURCE_DIR ${CMAKE_SOURCE_DIR})
# On macOS a package holds the place that it takes inside of the application, where the manager looks for it.
set(Slicer_BUNDLE_EXTENSIONS_LOCATION "")
if(Slicer_OS STREQUAL "macosx")
  set(Slicer_BUNDLE_EXTENSIONS_LOCATION "Extensions-${Slicer_REVISION}/${EXTENSION_NAME}/")
endif()
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR
  "${Slicer_INSTALL_ROOT}${Slicer_BUNDLE_EXTENSIONS_LOCATION}${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")

foreach(_field HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${_field}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${_field} is not set before include(\${Slicer_USE_FILE})")
  endif()
endforeach()

# Copies each file to its place below DESTINATION_DIR, keeping its path relative to SOURCE_DIR, and installs that folder.
function(ctkMacroCompilePythonScript)
  cmake_parse_arguments(_ctk "NO_INSTALL_SUBDIR" "TARGET_NAME;SOURCE_DIR;DESTINATION_DIR;INSTALL_DIR"
    "SCRIPTS;RESOURCES" ${ARGN})
  if(_ctk_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown arguments: ${_ctk_UNPARSED_ARGUMENTS}")
  endif()
  foreach(_argument TARGET_NAME SCRIPTS DESTINATION_DIR INSTALL_DIR)
    if("${_ctk_${_argument}}" STREQUAL "")
      message(FATAL_ERROR "${_argument} is mandatory")
    endif()
  endforeach()
  if("${_ctk_SOURCE_DIR}" STREQUAL "")
    set(_ctk_SOURCE_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  add_custom_target(Copy${_ctk_TARGET_NAME}PythonFiles ALL)  # a second target of the same name is an error, as in Slicer

  foreach(_file IN LISTS _ctk_SCRIPTS _ctk_RESOURCES)
    if(IS_ABSOLUTE ${_file} OR "${_file}" MATCHES "(^|/)\\.\\.(/|$)")
      message(FATAL_ERROR "'${_file}' would be copied to somewhere outside of the destination")
    endif()
    if(NOT EXISTS ${_ctk_SOURCE_DIR}/${_file})
      message(FATAL_ERROR "'${_file}' does not exist in ${_ctk_SOURCE_DIR}")
    endif()
    configure_file(${_ctk_SOURCE_DIR}/${_file} ${_ctk_DESTINATION_DIR}/${_file} COPYONLY)
  endforeach()

  set(_folder ${_ctk_DESTINATION_DIR})
  if(_ctk_NO_INSTALL_SUBDIR)
    set(_folder ${_folder}/)  # the content of the folder, not the folder
  endif()
  install(DIRECTORY ${_folder} DESTINATION ${_ctk_INSTALL_DIR} COMPONENT RuntimeLibraries USE_SOURCE_PERMISSIONS)
endfunction()

function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(_module "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(_module_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown arguments: ${_module_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT "${_module_NAME}.py" IN_LIST _module_SCRIPTS)
    message(FATAL_ERROR "Slicer finds the module '${_module_NAME}' by the file ${_module_NAME}.py, which is not in SCRIPTS")
  endif()
  ctkMacroCompilePythonScript(
    TARGET_NAME ${_module_NAME}
    SCRIPTS ${_module_SCRIPTS}
    RESOURCES ${_module_RESOURCES}
    DESTINATION_DIR ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}
    INSTALL_DIR ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    NO_INSTALL_SUBDIR
    )
endfunction()

function(slicer_add_python_unittest)
  cmake_parse_arguments(_test "" "SCRIPT;TESTNAME_PREFIX" "SLICER_ARGS" ${ARGN})
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${_test_SCRIPT})
    message(FATAL_ERROR "The test '${_test_SCRIPT}' does not exist")
  endif()
endfunction()
