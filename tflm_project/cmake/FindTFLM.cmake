# A built TFLite Micro library below TFLM_ROOT, as the target `tflm`.
#
# TFLMLibrary.cmake chooses the library. Headers are those of upstream's tree with its downloads, or
# of an installed prefix whose include/ has tensorflow/, signal/, flatbuffers/ and
# third_party/{gemmlowp,ruy}. The library's own symbols say how it was compiled, and what includes
# its headers is compiled with the same definitions: they change the layout of structures and decide
# what a specialised registration means.
#
# A problem is printed as `-- tflm-problem=…` before the configuration ends.
set(TFLM_ROOT "" CACHE PATH "TFLite Micro: upstream's tree with a built library, or a prefix")
find_program(BRIDGE_NM arm-none-eabi-nm REQUIRED)

include(${CMAKE_CURRENT_LIST_DIR}/TFLMLibrary.cmake)

execute_process(COMMAND ${BRIDGE_NM} --defined-only ${TFLM_LIBRARY}
  OUTPUT_VARIABLE tflm_symbols ERROR_QUIET)
if(NOT tflm_symbols MATCHES "MicroInterpreter")
  tflm_problem("${TFLM_LIBRARY} is no whole TFLite Micro library: it has no MicroInterpreter")
endif()
if(tflm_symbols MATCHES " T TfLiteIntArrayCreate\n")
  tflm_problem("${TFLM_LIBRARY} was compiled without TF_LITE_STATIC_MEMORY and needs a heap")
endif()
set(TFLM_DEFINITIONS TF_LITE_STATIC_MEMORY)
if(NOT tflm_symbols MATCHES " T _Z11MicroPrintfPKcz\n")
  list(APPEND TFLM_DEFINITIONS TF_LITE_STRIP_ERROR_STRINGS NDEBUG)
endif()
if(tflm_symbols MATCHES " T _ZN6tflite21Register_CONV_2D_INT8Ev\n")
  list(APPEND TFLM_DEFINITIONS CMSIS_NN)
endif()

set(tflm_third_party "${TFLM_ROOT}/tensorflow/lite/micro/tools/make/downloads")
set(tflm_include "")
foreach(folder
    "${TFLM_ROOT}/include" "${TFLM_ROOT}"
    "${tflm_third_party}/flatbuffers/include" "${tflm_third_party}/gemmlowp" "${tflm_third_party}/ruy"
    "${TFLM_ROOT}/third_party/flatbuffers/include" "${TFLM_ROOT}/third_party/gemmlowp"
    "${TFLM_ROOT}/third_party/ruy" "${TFLM_ROOT}/include/third_party/flatbuffers/include"
    "${TFLM_ROOT}/include/third_party/gemmlowp" "${TFLM_ROOT}/include/third_party/ruy")
  if(IS_DIRECTORY "${folder}")
    list(APPEND tflm_include "${folder}")
  endif()
endforeach()
find_file(tflm_header tensorflow/lite/micro/micro_interpreter.h PATHS ${tflm_include}
  NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH NO_CACHE)
find_file(tflm_flatbuffers flatbuffers/flatbuffers.h PATHS ${tflm_include}
  NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH NO_CACHE)
if(NOT tflm_header)
  tflm_problem("a header of TFLite Micro is missing under ${TFLM_ROOT}: tensorflow/lite/micro/micro_interpreter.h")
endif()
if(NOT tflm_flatbuffers)
  tflm_problem("a header of TFLite Micro is missing under ${TFLM_ROOT}: flatbuffers/flatbuffers.h")
endif()

add_library(tflm STATIC IMPORTED)
set_target_properties(tflm PROPERTIES
  IMPORTED_LOCATION "${TFLM_LIBRARY}"
  INTERFACE_INCLUDE_DIRECTORIES "${tflm_include}"
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${tflm_include}"
  INTERFACE_COMPILE_DEFINITIONS "${TFLM_DEFINITIONS}"
  INTERFACE_LINK_LIBRARIES m)
