# The flash map is ours, and a partition is read and bounded as keeper expects.

#: run
from esp32 import Partition

for kind in (Partition.TYPE_APP, Partition.TYPE_DATA):
    for part in Partition.find(kind):
        print("partition:", part.info()[4], part.info()[3] % 4096)
running = Partition(Partition.RUNNING)
head = bytearray(24)
running.readblocks(0, head, 0)
print("running:", running.info()[4], hex(head[0]))
print("next:", running.get_next_update().info()[4])
try:
    running.readblocks(running.info()[3] // 4096, head, 0)
except OSError as error:
    print("behind the end:", error.args[0])
#: prints ^partition: ota_0 0$
#: prints ^partition: ota_1 0$
#: prints ^partition: nvs 0$
#: prints ^partition: factory 0$
#: prints ^running: ota_[01] 0xe9$
#: prints ^next: ota_[01]$
#: prints ^behind the end: -2

#: run
import binascii

from thermometer import app

print("release:", len(binascii.hexlify(running_release)))
print("application:", app.__file__, callable(app.run))
#: prints ^release: 64$
#: prints ^application: /release/thermometer/app.mpy True$
