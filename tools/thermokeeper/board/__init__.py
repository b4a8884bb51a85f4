"""A real board on a serial port: flashed with esptool, given changed files with mpremote, talked to with pyserial."""
