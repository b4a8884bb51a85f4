# What our boards have in common, whatever their chip: MicroPython's generic board, our partition table for the flash
# size (THERMOKEEPER_FLASH: 4MiB, 8MiB or 16MiB), a bootloader that can roll back, the application frozen in.
# A board sets THERMOKEEPER_GENERIC, the board of MicroPython's that it is based on, and includes this.

if(NOT THERMOKEEPER_FLASH)
    set(THERMOKEEPER_FLASH 4MiB)
endif()

get_filename_component(THERMOKEEPER_FIRMWARE ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
set(THERMOKEEPER_PARTITIONS ${THERMOKEEPER_FIRMWARE}/partitions-${THERMOKEEPER_FLASH}.csv)
if(NOT EXISTS ${THERMOKEEPER_PARTITIONS})
    message(FATAL_ERROR "There is no flash map for THERMOKEEPER_FLASH=${THERMOKEEPER_FLASH}")
endif()

include(boards/${THERMOKEEPER_GENERIC}/mpconfigboard.cmake)

string(REPLACE "MiB" "MB" THERMOKEEPER_FLASH_MB ${THERMOKEEPER_FLASH})
file(WRITE ${CMAKE_BINARY_DIR}/sdkconfig.flash
    "\nCONFIG_ESPTOOLPY_FLASHSIZE_${THERMOKEEPER_FLASH_MB}=y\n"
    "CONFIG_PARTITION_TABLE_CUSTOM_FILENAME=\"${THERMOKEEPER_PARTITIONS}\"\n"
)
list(APPEND SDKCONFIG_DEFAULTS
    ${CMAKE_CURRENT_LIST_DIR}/sdkconfig.thermokeeper
    ${CMAKE_BINARY_DIR}/sdkconfig.flash
)
set(MICROPY_FROZEN_MANIFEST ${THERMOKEEPER_FIRMWARE}/manifest.py)
