// lib/thermometer/hardware.py knows the sensor's pin by the chip in this name.
#include "boards/ESP32_GENERIC_C3/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME               "Thermokeeper ESP32C3"
