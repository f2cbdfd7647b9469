# Which built TFLite Micro library below TFLM_ROOT is for BRIDGE_CORE: sets TFLM_LIBRARY.
#
# TFLM_ROOT is upstream's tree, whose makefile puts a static library under
# gen/<target>_<arch>_<type>/lib/, or an installed prefix: lib/, or lib/<anything>/ for several
# cores. Of several libraries the first that was compiled for the core is taken.
#
# Included by FindTFLM.cmake. Alone it prints `-- tflm-library=…` (tflm-problem=… where none fits):
#   cmake -DTFLM_ROOT=DIR -DBRIDGE_CORE=cortex-m4 -P TFLMLibrary.cmake
find_program(BRIDGE_READELF arm-none-eabi-readelf REQUIRED)

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
message(STATUS "tflm-library=${TFLM_LIBRARY}")
