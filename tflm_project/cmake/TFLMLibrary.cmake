# Which built TFLite Micro library below TFLM_ROOT is for BRIDGE_CORE: sets TFLM_LIBRARY.
#
# TFLM_ROOT is upstream's tree, whose makefile puts a static library under
# gen/<target>_<arch>_<type>/lib/, or an installed prefix: lib/, or lib/<anything>/ for several
# cores. Of several libraries the first that was compiled for the core is taken, upstream's release
# type before its others.
#
# Included by FindTFLM.cmake. Alone it prints `-- tflm-library=…` (tflm-problem=… where none fits):
#   cmake -DTFLM_ROOT=DIR -DBRIDGE_CORE=cortex-m4 -P TFLMLibrary.cmake
include(${CMAKE_CURRENT_LIST_DIR}/Archive.cmake)

function(tflm_problem text)
  message(STATUS "tflm-problem=${text}")
  message(FATAL_ERROR "TFLM: ${text}")
endfunction()

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
bridge_archives(tflm_fitting tflm_soft ${tflm_found})
if(NOT tflm_fitting)
  list(JOIN tflm_found ", " all)
  if(tflm_soft)
    list(GET tflm_soft 0 library)
    set(arch ${BRIDGE_CORE})
    if(BRIDGE_CORE MATCHES "^cortex-m[47]$")
      set(arch ${BRIDGE_CORE}+fp)
    endif()
    tflm_problem("${library} is soft-float, and no other library was compiled for ${BRIDGE_CORE}: build with TARGET_ARCH=${arch}")
  endif()
  tflm_problem("no library under TFLM_ROOT was compiled for ${BRIDGE_CORE}: ${all}")
endif()
set(tflm_release ${tflm_fitting})
list(FILTER tflm_release INCLUDE REGEX "/gen/[^/]*_release(_|/)")
list(APPEND tflm_release ${tflm_fitting})
list(GET tflm_release 0 TFLM_LIBRARY)
message(STATUS "tflm-library=${TFLM_LIBRARY}")
