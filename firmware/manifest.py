"""Freezes the application into a MicroPython of your own: the packages of application.json, as in a release.

boot.py and main.py stay files in `vfs`, and a release's files come before frozen ones: a frozen copy is what is left
to run where a release has none. Nothing here is a list of its own.
"""

import json

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821
with open("application.json", encoding="utf-8") as file:
    for name in json.load(file)["packages"]:
        package(name, base_path="../lib", opt=1)  # noqa: F821
