# Which static libraries were compiled for BRIDGE_CORE, by their ABI attributes (Arm IHI 0045: Addenda
# to the ABI).
#
#   bridge_archives(<fitting> <soft> <archive>…)
#
# lists those that fit, in their order, and those that would but for their floating-point ABI: they
# hand floats over in core registers, so that nothing compiled for the unit can be linked with them.
#
# Alone it prints the first that fits as `-- archive=…`, nothing where none does:
#   cmake -DBRIDGE_CORE=cortex-m4 "-DBRIDGE_ARCHIVES=a.a;b.a" -P Archive.cmake
find_program(BRIDGE_READELF arm-none-eabi-readelf REQUIRED)

set(bridge_hard "Tag_ABI_VFP_args: VFP registers")
set(bridge_arch_cortex-m0 "Tag_CPU_arch: v6S?-M")
set(bridge_arch_cortex-m3 "Tag_CPU_name: \"(7-M|Cortex-M3)\"")
set(bridge_arch_cortex-m4 "Tag_CPU_arch: v7E-M.*Tag_FP_arch: VFPv4-D16.*${bridge_hard}")
set(bridge_arch_cortex-m7 "Tag_CPU_arch: v7E-M.*Tag_FP_arch: FPv5/FP-D16.*${bridge_hard}")
set(bridge_arch_cortex-m33 "Tag_CPU_arch: v8-M.mainline.*${bridge_hard}")
set(bridge_arch_cortex-m55 "Tag_CPU_arch: v8.1-M.mainline.*${bridge_hard}.*Tag_MVE_arch: MVE")
set(bridge_soft_cortex-m4 "Tag_CPU_arch: v7E-M")
set(bridge_soft_cortex-m7 "Tag_CPU_arch: v7E-M")
set(bridge_soft_cortex-m33 "Tag_CPU_arch: v8-M.mainline")
set(bridge_soft_cortex-m55 "Tag_CPU_arch: v8.1-M.mainline.*Tag_MVE_arch: MVE")

function(bridge_archives fitting soft)
  set(fit "")
  set(not_hard "")
  foreach(archive IN LISTS ARGN)
    execute_process(COMMAND ${BRIDGE_READELF} -A ${archive}
      OUTPUT_VARIABLE attributes ERROR_QUIET)
    # One member's attributes are enough, and a regular expression over all would be slow.
    string(FIND "${attributes}" "Tag_CPU_name" at)
    if(at GREATER_EQUAL 0)
      string(SUBSTRING "${attributes}" ${at} 1200 attributes)
      string(REGEX REPLACE "\n\nFile:.*" "" attributes "${attributes}")
    endif()
    if("${attributes}" MATCHES "${bridge_arch_${BRIDGE_CORE}}")
      list(APPEND fit ${archive})
    elseif(bridge_soft_${BRIDGE_CORE}
        AND "${attributes}" MATCHES "${bridge_soft_${BRIDGE_CORE}}"
        AND NOT "${attributes}" MATCHES "${bridge_hard}")
      list(APPEND not_hard ${archive})
    endif()
  endforeach()
  set(${fitting} "${fit}" PARENT_SCOPE)
  set(${soft} "${not_hard}" PARENT_SCOPE)
endfunction()

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  bridge_archives(found soft ${BRIDGE_ARCHIVES})
  if(found)
    list(GET found 0 found)
    message(STATUS "archive=${found}")
  endif()
endif()
