"""What the board remembers of releases. A phase: loaded with settling and changing, and at an update's end."""
