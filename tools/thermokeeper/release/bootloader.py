"""Whether a bootloader goes back to the old application when a new one doesn't prove itself: read from its code.

A name or a version says what was meant to be built; the bytes say what was. ESP-IDF's bootloader has no setting that
could be read, but with CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE it has code that no other has: at each start it gives
either entry of otadata that was on trial the state ABORTED. Both entries lie on the stack, 32 bytes apart, so the
constant is stored twice. It knows instructions, and neither files nor versions (docs/firmware.md).
"""

from collections.abc import Iterator

_VALID, _ABORTED = 2, 4  # esp_ota_img_states_t
_ENTRY_SIZE = 32  # esp_ota_select_entry_t
_STATE = 24  # of ota_state in it
_REACH = 64  # bytes of code between the two stores: 20 to 22 in all that were seen
_BETWEEN = 20  # bytes from loading a constant to storing it
_XTENSA = ("esp32", "esp32s2", "esp32s3")  # all others are RISC-V


def rolls_back(bootloader: bytes, chip: str) -> bool | None:
    """True or False as the code of an ESP-IDF bootloader says; None if it isn't the code that is known here.

    Known it is by a store that every build has: the first start makes the first entry VALID.
    """
    found = list(_xtensa_stores(bootloader) if chip in _XTENSA else _riscv_stores(bootloader))
    aborted = [(place, offset) for place, value, offset in found if value == _ABORTED]
    for place, offset in aborted:
        if any(second == offset + _ENTRY_SIZE and 0 < there - place <= _REACH for there, second in aborted):
            return True
    return False if any(value == _VALID and offset == _STATE for _, value, offset in found) else None


def _xtensa_stores(code: bytes) -> Iterator[tuple[int, int, int]]:
    """(place, constant, offset from the stack pointer) of each constant of interest that is stored there.

    Instructions have 2 or 3 bytes and begin anywhere, so every byte is tried; what fits by chance makes no pair.
    """
    for place in range(len(code) - 3):
        if code[place] == 0x0C and code[place + 1] >> 4 in (_VALID, _ABORTED):  # movi.n
            register, value, after = code[place + 1] & 15, code[place + 1] >> 4, place + 2
        elif code[place] & 15 == 2 and code[place + 1] == 0xA0 and code[place + 2] in (_VALID, _ABORTED):  # movi
            register, value, after = code[place] >> 4, code[place + 2], place + 3
        else:
            continue
        for at in range(after, min(after + _BETWEEN, len(code) - 2)):
            if code[at] == register << 4 | 9 and code[at + 1] & 15 == 1:  # s32i.n, base a1
                yield place, value, 4 * (code[at + 1] >> 4)
                break
            if code[at] == register << 4 | 2 and code[at + 1] == 0x61:  # s32i, base a1
                yield place, value, 4 * code[at + 2]
                break


def _riscv_stores(code: bytes) -> Iterator[tuple[int, int, int]]:
    """The same for RISC-V, whose instructions have 2 or 4 bytes and begin at even places."""
    for place in range(0, len(code) - 3, 2):
        half = code[place] | code[place + 1] << 8
        value = half >> 2 & 31
        if half & 0xF003 != 0x4001 or value not in (_VALID, _ABORTED):  # c.li
            continue
        register = half >> 7 & 31
        at = place + 2
        while at < min(place + _BETWEEN, len(code) - 3):
            half = code[at] | code[at + 1] << 8
            if half & 0xE003 == 0xC002 and half >> 2 & 31 == register:  # c.swsp
                yield place, value, (half >> 9 & 15) << 2 | (half >> 7 & 3) << 6
                break
            word = half | code[at + 2] << 16 | code[at + 3] << 24
            if word & 0x000FF07F == 0x00012023 and word >> 20 & 31 == register:  # sw, base sp
                yield place, value, word >> 25 << 5 | word >> 7 & 31
                break
            at += 4 if half & 3 == 3 else 2
