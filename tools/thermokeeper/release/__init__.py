"""Release files: built from an application image and our lib/, signed, looked into."""
