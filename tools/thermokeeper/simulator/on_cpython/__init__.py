"""A board in a Python process: stock modules, file system, memory that runs out, one life at a time."""
