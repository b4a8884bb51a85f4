"""Where a server is found that was run on this machine without options: its port, its folder, its CA."""

from pathlib import Path

DEFAULT_PORT = 8210
TLS_FOLDER = "tls"
CA_FILE = "ca.pem"
SERVER_ID_FILE = "server-id"


def default_data() -> Path:
    """The folder with the database, firmware and the vendor's token."""
    import platformdirs

    return platformdirs.user_data_path("thermokeeper") / "server"
