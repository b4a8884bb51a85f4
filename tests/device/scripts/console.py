# The program answers on its console.

#: run
import machine

machine.RTC().memory(b"")
machine.reset()
#: resets
#: says ^tk: slot: ota_[01] runs release
#: says ^tk: (sensor|reading):

#: asks status
#: answers "ok": true.*"serial": "[\w.-]+"
#: asks wifi
#: answers "networks": \[
#: asks nonsense
#: answers "ok": false
