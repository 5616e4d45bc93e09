# seqc_add_model(NAME charlm SOURCE charlm.seq [REAL f32|f64] [ARGS ...])
#
# Builds the model with `seqc build` and gives an imported static library target `NAME` with its header folder.
# Files that ARGS name (--weights FILE) are looked for beside the CMakeLists.txt, like SOURCE.
# A toolchain file's C++ compiler compiles the model, too: for whatever it builds for, unless ARGS say --march.
# The dependency file makes CMake build again when the source or anything that it imports changes. CMake 3.20 or later.
find_program(SEQC_EXECUTABLE seqc REQUIRED)

# Whatever version a project asks for: Ninja finds no path in a dependency file unless CMake makes it relative, and would
# build every model again in every build.
if(POLICY CMP0116)
  cmake_policy(SET CMP0116 NEW)
endif()

function(seqc_add_model)
  cmake_parse_arguments(MODEL "" "NAME;SOURCE;REAL" "ARGS" ${ARGN})
  if(NOT MODEL_NAME OR NOT MODEL_SOURCE)
    message(FATAL_ERROR "seqc_add_model needs NAME and SOURCE")
  endif()
  if(NOT MODEL_NAME MATCHES "^[A-Za-z_][A-Za-z0-9_]*$")
    message(FATAL_ERROR "seqc_add_model: NAME ${MODEL_NAME} is no name in C: letters, digits and _")
  endif()
  if(MODEL_REAL) # else that of a profile or a run, or f32
    list(APPEND MODEL_ARGS --real ${MODEL_REAL})
  endif()
  if(CMAKE_CROSSCOMPILING AND NOT "${MODEL_ARGS}" MATCHES "--compiler")
    if(NOT CMAKE_CXX_COMPILER)
      message(FATAL_ERROR "seqc_add_model: for another machine name its C++ compiler: the language CXX, or ARGS --compiler")
    endif()
    list(PREPEND MODEL_ARGS --compiler "${CMAKE_CXX_COMPILER}")
    if(NOT "${MODEL_ARGS}" MATCHES "--march|--deploy") # a profile has its `cpu`
      list(PREPEND MODEL_ARGS --march=)
    endif()
  endif()
  get_filename_component(source "${MODEL_SOURCE}" ABSOLUTE)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${MODEL_NAME}.seqc")
  set(archive "${folder}/lib${MODEL_NAME}.a")
  set(header "${folder}/${MODEL_NAME}.h")
  # What the dependency file names: Ninja wants all of it declared, and the same one first.
  set(files "${header}" "${archive}" "${folder}/${MODEL_NAME}.json" "${folder}/seqc_abi.h" "${folder}/seqc_team.h"
            "${folder}/lib/cmake/${MODEL_NAME}/${MODEL_NAME}-config.cmake")
  add_custom_command(
    OUTPUT ${files}
    COMMAND "${SEQC_EXECUTABLE}" build "${source}" -o "${folder}" --name "${MODEL_NAME}" --emit header,static
            --depfile "${folder}.d" --quiet ${MODEL_ARGS}
    DEPENDS "${source}"
    WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
    DEPFILE "${folder}.d"
    VERBATIM)
  add_custom_target(${MODEL_NAME}_seqc DEPENDS "${archive}" "${header}")
  file(MAKE_DIRECTORY "${folder}")
  add_library(${MODEL_NAME} STATIC IMPORTED GLOBAL)
  set_target_properties(${MODEL_NAME} PROPERTIES IMPORTED_LOCATION "${archive}" INTERFACE_INCLUDE_DIRECTORIES "${folder}"
                                                 INTERFACE_LINK_LIBRARIES m)
  add_dependencies(${MODEL_NAME} ${MODEL_NAME}_seqc)
endfunction()
