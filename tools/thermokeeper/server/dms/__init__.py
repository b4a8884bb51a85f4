"""Gecko OS DMS's calls, of devices with a token, in MessagePack."""
