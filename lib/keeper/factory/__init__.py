"""The factory record, written once and never in the field. A phase: loaded when it is read."""
