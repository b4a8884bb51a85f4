"""Whoever calls the server: the calls of a vendor and an owner, and commands made of them. Never imports the server."""
