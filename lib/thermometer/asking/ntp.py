"""The time from an NTP server, believed only if it can be true. It sets no clock: who asks does."""

_TIMEOUT_S = 1
_NTP_ZERO_S = 2085978496  # what a reply with an empty timestamp looks like (7 February 2036)


def sync(host, epoch_s, first_s, last_s):
    """(seconds of the port's own epoch, "") or (None, why not). epoch_s: where that epoch begins, since 1970.

    Blocks for the name look-up and at most a second for the answer. first_s, last_s: what can be a time, since 1970.
    """
    import ntptime

    ntptime.host = host
    ntptime.timeout = _TIMEOUT_S
    try:
        seconds = ntptime.time()
    except OSError as error:
        return None, "no answer: %s" % error
    except (ValueError, IndexError):  # a reply that is too short
        return None, "the answer makes no sense"
    wall_s = seconds + epoch_s
    # ntptime believes any reply; a server that refuses sends an empty time, and a wrong year would break TLS
    if wall_s == _NTP_ZERO_S or not first_s <= wall_s < last_s:
        return None, "the answer has no time in it"
    return seconds, ""
