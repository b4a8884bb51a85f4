"""`micropython` for device code on CPython; on MicroPython the interpreter's own is found first."""


def const(value):
    return value


def native(function):
    return function


viper = native


def opt_level(level=None):
    return 0


def mem_info(verbose=None):
    pass


def qstr_info(verbose=None):
    pass


def stack_use():
    return 1000


def heap_lock():
    pass


def heap_unlock():
    return 0


def kbd_intr(character):
    pass


def alloc_emergency_exception_buf(size):
    pass


def schedule(function, argument):
    function(argument)
