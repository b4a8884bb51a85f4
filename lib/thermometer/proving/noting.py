"""What a trial lacks is noted, for the boot after one that failed. It must not judge: that is `health`'s."""


def look(station):
    """Note it when it changes; a trial that is over has no deadline any more. station: `station.Station`."""
    missing = "trial: " + station.missing()
    if station.lifecycle and not station.lifecycle.on_trial:
        missing, station.trial_deadline_ms = "", None
    if missing != station.noted:
        station.noted = missing
        station.board.note(missing)
