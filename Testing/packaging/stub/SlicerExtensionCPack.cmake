foreach(_file README.md LICENSE)
  if(NOT EXISTS ${EXTENSION_SOURCE_DIR}/${_file})
    message(FATAL_ERROR "The extension has no ${_file}")
  endif()
endforeach()

# The description that the Extensions Manager reads from the archive.
set(_description "")
foreach(_field HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  string(TOLOWER ${_field} _key)
  string(APPEND _description "${_key} ${EXTENSION_${_field}}\n")
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext "${_description}")
install(FILES ${CMAKE_BINARY_DIR}/${EXTENSION_NAME}.s4ext
  DESTINATION ${Slicer_INSTALL_ROOT}${Slicer_SHARE_DIR} COMPONENT RuntimeLibraries)

set(CPACK_MONOLITHIC_INSTALL ON)
set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_FILE_NAME ${Slicer_REVISION}-${EXTENSION_NAME})
set(CPACK_RESOURCE_FILE_LICENSE ${EXTENSION_SOURCE_DIR}/LICENSE)
include(CPack)
