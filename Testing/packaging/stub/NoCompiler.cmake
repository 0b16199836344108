# A toolchain file for computers without compiler: project() asks for one, and nothing of this extension is compiled.
foreach(_language C CXX)
  set(CMAKE_${_language}_COMPILER ${CMAKE_COMMAND})
  set(CMAKE_${_language}_COMPILER_FORCED TRUE)
endforeach()
