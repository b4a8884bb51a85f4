"""A flash chip that is the file /flash.bin, and NVS that is a folder: nothing of them in the heap that is counted."""

import os

HEAP_DATA = 4


def idf_heap_info(kind):
    return [(113840, 60000, 40000, 50000)]


class Partition:
    TYPE_APP, TYPE_DATA = 0, 1
    BOOT, RUNNING = 0, 1
    table = ()

    def __init__(self, which):
        self._entry = which if isinstance(which, tuple) else next(one for one in self.table if one[1] == 0)

    def info(self):
        label, kind, subtype, address, size = self._entry
        return kind, subtype, address, size, label, False

    def get_next_update(self):
        return Partition(next(one for one in self.table if one[1] == 0 and one != self._entry))

    @classmethod
    def find(cls, kind=0, subtype=255, label=None):
        found = [one for one in cls.table if one[1] == kind and label in (None, one[0]) and subtype in (255, one[2])]
        return [cls(one) for one in found]

    def readblocks(self, block, buffer, offset=0):
        with open("/flash.bin", "rb") as file:
            file.seek(self._entry[3] + block * 4096 + offset)
            file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        with open("/flash.bin", "r+b") as file:
            file.seek(self._entry[3] + block * 4096 + offset)
            file.write(buffer)

    def ioctl(self, number, block):
        if number == 6:
            self.writeblocks(block, b"\xff" * 4096)


class NVS:
    def __init__(self, namespace):
        self._folder = "/nvs/" + namespace

    def get_blob(self, key, buffer):
        try:
            with open(self._folder + "/" + key, "rb") as file:
                return file.readinto(buffer)
        except OSError:
            raise OSError(-4354)

    def set_blob(self, key, value):
        for folder in ("/nvs", self._folder):
            try:
                os.mkdir(folder)
            except OSError:
                pass
        with open(self._folder + "/" + key, "wb") as file:
            file.write(value)

    def commit(self):
        pass
