# The original lets other extensions find this one with find_package.
file(WRITE ${CMAKE_BINARY_DIR}/${EXTENSION_NAME}Config.cmake "set(${EXTENSION_NAME}_FOUND TRUE)\n")
