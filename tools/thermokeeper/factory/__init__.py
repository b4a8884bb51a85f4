"""From bare modules to labelled devices: batches of serial numbers, and the journal that never gives one twice."""
