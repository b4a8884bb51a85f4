"""A moment in text, as HTTP has it and as releases have it, in seconds since 1970. Pure."""

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


def seconds_of(text):
    """Seconds since 1970 of "Sat, 21 Nov 2026 20:13:18 GMT" (RFC 9110) or "2026-11-21T20:13:18Z"; None of another."""
    if not isinstance(text, str):
        return None
    if len(text) == 29 and text[3:5] == ", " and text[25:] == " GMT":
        marks, month = text[7] + text[11] + text[16] + text[19] + text[22], _MONTHS.find(text[8:11])
        if marks != "   ::" or month % 3:  # find's -1 % 3 is 2
            return None
        fields = text[12:16], "%d" % (month // 3 + 1), text[5:7], text[17:19], text[20:22], text[23:25]
    elif len(text) == 20 and text[4] + text[7] + text[10] + text[13] + text[16] + text[19] == "--T::Z":
        fields = text[:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19]
    else:
        return None
    for field in fields:
        if not field.isdigit():
            return None
    year, month, day, hour, minute, second = [int(field) for field in fields]
    if not 1 <= month <= 12 or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:
        return None
    return ((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second


def _days(year, month, day):
    """Days from 1970-01-01 to a Gregorian date; mktime would use local time on some ports."""
    if month < 3:  # count years from March, so that the leap day comes last
        year -= 1
        month += 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
