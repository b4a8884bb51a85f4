"""What may be done and what comes of it, given a session of the database. It knows no HTTP."""
