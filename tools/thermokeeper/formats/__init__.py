"""What lies in a board's flash beside releases, bytes to values and back: partition table, factory record, NVS."""
