"""Plays hostile cases on a board: `micropython .../play.py FOLDER INDEX WORK [NAME]`, and python alike.

FOLDER: made by arsenal.py. INDEX: a file in it, one case a line, as JSON. WORK: where the flash file goes.
NAME: play only the case of that name.
Lines that begin with "--- " are for the host: CASE name, MET how, WRONG why, HEAP bytes, END number of cases.
On MicroPython all of the heap but what a good update needs, and a little, is taken away first: a case that makes the
board take more ends in a MemoryError, be it one that the board swallows.
"""

import gc
import json
import sys

MICROPYTHON = sys.implementation.name == "micropython"
PROJECT = __file__.rpartition("/tests/")[0] if "/tests/" in __file__ else "."


def main(folder, index, work, only=None):
    """Play; the exit status."""
    for below in ("/tests/campaigns/hostile", "/tests/units/device", "/tools/thermokeeper/simulator/shim", "/lib"):
        if PROJECT + below not in sys.path:
            sys.path.append(PROJECT + below)
    if not MICROPYTHON:
        import on_cpython

        on_cpython.lend()
    from memory import Watch
    from rooms import ROOMS

    if not MICROPYTHON:
        gc.freeze()  # a device collects often: on CPython, among all that was imported, that takes long
    count = wrong = 0
    with Watch(MICROPYTHON) as watch:
        room = None
        with open(folder + "/" + index) as lines:
            for line in lines:
                case = json.loads(line)
                if only and case["name"] != only:
                    continue
                if room is None or room.kind != case["kind"]:
                    if room is not None:
                        room.leave()
                        room = None
                        watch.release()
                        gc.collect()
                    room = ROOMS[case["kind"]](folder, work)
                    watch.squeeze(room.warm_up)
                    print(f"--- HEAP {case['kind']} {watch.spare}")
                print("--- CASE " + case["name"])
                if not _played(room, case, count, watch):
                    wrong += 1
                    if wrong < 10:
                        watch.squeeze(room.warm_up)
                count += 1
        if room is not None:
            room.leave()
    print(f"--- END {count}")
    return 1 if wrong else 0


def _played(room, case, number, watch):
    watch.before()
    try:
        met = room.throw(case, number)
        trouble = watch.after()
    except Exception as error:
        watch.release()  # what follows shall not fail for the memory that this report takes
        met, trouble = None, f"{error.__class__.__name__}: {error}"
        if error.__class__.__name__ != "Wrong":
            if MICROPYTHON:
                sys.print_exception(error)
            else:
                import traceback

                traceback.print_exc(file=sys.stdout)
    if trouble:
        print("--- WRONG " + trouble.replace("\n", " "))
        return False
    print("--- MET " + met)
    return True


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
