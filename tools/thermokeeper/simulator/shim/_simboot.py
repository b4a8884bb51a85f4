"""The stock `_boot.py` and what runs after it: mount the vfs partition at /, then boot.py, then main.py.

Knows nothing of the runtime: file systems and the way to run a file are given to it.
"""


def boot(board, Partition, vfs, os, run):
    """Start up, run boot.py and main.py, and end this life: with `repl`, where a board would wait for a person."""
    found = Partition.find(Partition.TYPE_DATA, label="vfs") or Partition.find(Partition.TYPE_DATA, label="ffat")
    if found:
        device = found[0]
        try:
            vfs.mount(device, "/")
        except OSError:
            _set_up(board, device, vfs)
        os.chdir("/")
    main = {"__name__": "__main__"}
    # main.py doesn't run after a boot.py that failed.
    if not found or _runs("boot.py", os, run, main) and _runs("main.py", os, run, main):
        pass
    board.end("repl")


def _runs(name, os, run, main):
    try:
        os.stat(name)
    except OSError:
        return True
    return run(name, main)


def _set_up(board, device, vfs):
    """Make a file system where there is none; never where there might be one."""
    block = bytearray(device.ioctl(5, 0))
    device.readblocks(0, block)
    if block != b"\xff" * len(block):
        print("The filesystem appears to be corrupted. If you had important data there, you may want to make a flash")
        print("snapshot to try to recover it. Otherwise, perform factory reprogramming of MicroPython firmware.")
        board.end("vfs damaged")  # a board prints this for ever
    print("Performing initial setup")
    vfs.VfsLfs2.mkfs(device)
    vfs.mount(device, "/")
    with open("/boot.py", "w") as file:
        file.write("# This file is executed on every boot (including wake-boot from deepsleep)\n")
