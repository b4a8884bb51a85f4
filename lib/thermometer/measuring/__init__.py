"""What makes it a thermometer: sensor, samples, readings that wait. Always in memory, but not in safe mode."""
