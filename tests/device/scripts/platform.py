# What the code relies on is in this MicroPython.

#: run
import sys

for name in (
    "binascii",
    "deflate",
    "ds18x20",
    "esp32",
    "hashlib",
    "json",
    "machine",
    "network",
    "ntptime",
    "onewire",
    "os",
    "select",
    "socket",
    "ssl",
    "struct",
    "time",
    "vfs",
):
    try:
        __import__(name)
    except ImportError:
        print("missing:", name)
print("modules: looked at")
print("version:", sys.implementation.version[:2] >= (1, 25))
print("power:", pow(5, 65537, (1 << 3071) + 1) == pow(pow(5, 65536, (1 << 3071) + 1) * 5, 1, (1 << 3071) + 1))
print("missing: nothing")
#: prints ^modules: looked at$
#: prints ^version: True$
#: prints ^power: True$
#: prints ^missing: nothing$

#: run
import gc

gc.collect()
print("heap:", gc.mem_free() > 40000)
#: prints ^heap: True$
