# The watchdog can be set anew while it runs, which `thermokeeper deploy` relies on; unfed it resets the board.

#: run
import time

import machine

machine.WDT(timeout=1500)
machine.WDT(timeout=300000)
time.sleep_ms(3000)
print("alive: 3 s")
#: prints ^alive: 3 s$

#: run
import time

import machine

machine.RTC().memory(b"")
machine.WDT(timeout=1500)
time.sleep_ms(30000)
print("the watchdog didn't bite")
#: resets
#: says ^tk: slot: ota_[01] runs release
#: says ^tk: (sensor|reading):

#: run
import machine

print("cause:", machine.reset_cause() == machine.WDT_RESET)
machine.RTC().memory(b"")
#: prints ^cause: True$
