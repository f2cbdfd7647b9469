# A built TFLite Micro library below TFLM_ROOT, as the target `tflm`.
#
# TFLM_ROOT is upstream's tree, whose makefile puts a static library under
# gen/<target>_<arch>_<type>/lib/, or an installed prefix: lib/ (or lib/<anything>/ for several
# cores) and include/ with tensorflow/, signal/, flatbuffers/ and third_party/{gemmlowp,ruy}. Of
# several libraries the first that was compiled for BRIDGE_CORE is taken. Its own symbols say how
# it was compiled, and what includes its headers is compiled with the same definitions: they change
# the layout of structures and decide what a specialised registration means.
#
# Results, also printed as `-- tflm-<name>=<value>` lines: TFLM_LIBRARY, TFLM_DEFINITIONS; a
# problem is printed as tflm-problem before the configuration ends.
set(TFLM_ROOT "" CACHE PATH "TFLite Micro: upstream's tree with a built library, or a prefix")
find_program(BRIDGE_READELF arm-none-eabi-readelf REQUIRED)
find_program(BRIDGE_NM arm-none-eabi-nm REQUIRED)

function(tflm_problem text)
  message(STATUS "tflm-problem=${text}")
  message(FATAL_ERROR "TFLM: ${text}")
endfunction()

# What the ABI attributes of a library say (Arm IHI 0045: Addenda to the ABI).
set(tflm_hard "Tag_ABI_VFP_args: VFP registers")
set(tflm_arch_cortex-m0 "Tag_CPU_arch: v6S?-M")
set(tflm_arch_cortex-m3 "Tag_CPU_name: \"(7-M|Cortex-M3)\"")
set(tflm_arch_cortex-m4 "Tag_CPU_arch: v7E-M.*Tag_FP_arch: VFPv4-D16.*${tflm_hard}")
set(tflm_arch_cortex-m7 "Tag_CPU_arch: v7E-M.*Tag_FP_arch: FPv5/FP-D16.*${tflm_hard}")
set(tflm_arch_cortex-m33 "Tag_CPU_arch: v8-M.mainline.*${tflm_hard}")
set(tflm_arch_cortex-m55 "Tag_CPU_arch: v8.1-M.mainline.*${tflm_hard}.*Tag_MVE_arch: MVE")

if(NOT IS_DIRECTORY "${TFLM_ROOT}")
  tflm_problem("TFLM_ROOT is no folder: ${TFLM_ROOT}")
endif()
file(GLOB tflm_found
  "${TFLM_ROOT}/gen/*/lib/libtensorflow-microlite.a"
  "${TFLM_ROOT}/lib/libtensorflow-microlite.a" "${TFLM_ROOT}/lib/*/libtensorflow-microlite.a"
  "${TFLM_ROOT}/libtensorflow-microlite.a")
list(SORT tflm_found)
if(NOT tflm_found)
  tflm_problem("${TFLM_ROOT} holds no libtensorflow-microlite.a")
endif()
set(TFLM_LIBRARY "")
foreach(library IN LISTS tflm_found)
  execute_process(COMMAND ${BRIDGE_READELF} -A ${library}
    OUTPUT_VARIABLE attributes ERROR_QUIET)
  # One member's attributes are enough, and a regular expression over all would be slow.
  string(FIND "${attributes}" "Tag_CPU_name" at)
  if(at GREATER_EQUAL 0)
    string(SUBSTRING "${attributes}" ${at} 1200 attributes)
    string(REGEX REPLACE "\n\nFile:.*" "" attributes "${attributes}")
  endif()
  if("${attributes}" MATCHES "${tflm_arch_${BRIDGE_CORE}}")
    set(TFLM_LIBRARY ${library})
    break()
  endif()
endforeach()
if(NOT TFLM_LIBRARY)
  list(JOIN tflm_found ", " tflm_found)
  tflm_problem("no library under TFLM_ROOT was compiled for ${BRIDGE_CORE}: ${tflm_found}")
endif()

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

message(STATUS "tflm-library=${TFLM_LIBRARY}")
message(STATUS "tflm-definitions=${TFLM_DEFINITIONS}")
add_library(tflm STATIC IMPORTED)
set_target_properties(tflm PROPERTIES
  IMPORTED_LOCATION "${TFLM_LIBRARY}"
  INTERFACE_INCLUDE_DIRECTORIES "${tflm_include}"
  INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${tflm_include}"
  INTERFACE_COMPILE_DEFINITIONS "${TFLM_DEFINITIONS}"
  INTERFACE_LINK_LIBRARIES m)
