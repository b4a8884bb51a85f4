# RTC memory, where starts are counted, and NVS outlive a reset; the program starts by itself, with its release.

#: run
import machine
from binascii import crc32
from esp32 import NVS

store = NVS("tk_test")
store.set_blob("word", b"kept")
store.commit()
machine.RTC().memory(b"TK" + crc32(b"\1").to_bytes(4, "little") + b"\1")
machine.reset()
#: resets
#: says ^tk: identity: .*serial
#: says ^tk: slot: ota_[01] runs release
#: says ^tk: (sensor|reading):

#: run
import machine
from esp32 import NVS

print("cause:", machine.reset_cause() in (machine.HARD_RESET, machine.WDT_RESET, machine.SOFT_RESET))
print("starts:", machine.RTC().memory()[6])
store = NVS("tk_test")
found = bytearray(8)
print("nvs:", bytes(found[: store.get_blob("word", found)]))
store.erase_key("word")
store.commit()
try:
    store.get_blob("word", found)
except OSError as error:
    print("erased:", error.args[0])
#: prints ^cause: True$
#: prints ^starts: 2$
#: prints ^nvs: b'kept'$
#: prints ^erased: -4354$
