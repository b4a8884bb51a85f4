"""Runs unit tests on MicroPython: `micropython .../run.py .../test_image.py [test_a test_b ...] ...`.

Each line of its own starts with "--- ": LOADED once a file is imported, then RUN, PASS or FAIL with a test's name;
conftest.py reads them to make one pytest item of each. The exit status is 1 if anything failed, 2 if nothing ran.
"""

import gc
import sys

_BELOW_ROOT = ("/lib", "/tools/thermokeeper/simulator/shim")


def names_in(path):
    """Names of the test functions of a file, in the order in which they stand there (`dir()` has another)."""
    names = []
    with open(path) as source:
        for line in source:
            if line.startswith("def test_"):
                names.append(line[4 : line.index("(")])
    return names


def wants_micropython(path):
    """Whether the file leaves MicroPython out, with a line RUNTIMES = ("cpython",)."""
    with open(path) as source:
        for line in source:
            if line.startswith("RUNTIMES") and "micropython" not in line:
                return False
    return True


def run_one(module, name):
    """Run one test function; True if it passed."""
    print("--- RUN " + name)
    gc.collect()
    try:
        getattr(module, name)()
    except Exception as error:
        print("--- FAIL " + name)
        sys.print_exception(error)
        return False
    print("--- PASS " + name)
    return True


def run_file(path, names):
    """Run the named tests of a file, or all; return how many passed and how many failed."""
    if not wants_micropython(path):
        return 0, 0
    folder, _, file_name = path.rpartition("/")
    if folder not in sys.path:
        sys.path.append(folder or ".")
    try:
        module = __import__(file_name[:-3])
    except Exception as error:
        print("--- FAIL import of " + file_name)
        sys.print_exception(error)
        return 0, 1
    print("--- LOADED " + file_name)
    results = [run_one(module, name) for name in names or names_in(path)]
    return results.count(True), results.count(False)


def main(arguments):
    """Run every file named; return the exit status."""
    here = sys.argv[0].rpartition("/")[0] or "."
    for folder in _BELOW_ROOT:
        if here + "/../.." + folder not in sys.path:
            sys.path.append(here + "/../.." + folder)
    if here not in sys.path:
        sys.path.append(here)
    files = []
    for argument in arguments:
        if argument.endswith(".py"):
            files.append((argument, []))
        else:
            files[-1][1].append(argument)
    passed = failed = 0
    for path, names in files:
        good, bad = run_file(path, names)
        passed += good
        failed += bad
    print("%d passed, %d failed" % (passed, failed))
    if failed:
        return 1
    return 0 if passed else 2


sys.exit(main(sys.argv[1:]))
