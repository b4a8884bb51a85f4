"""Keys that the servers on one database share, made by the first that needs them."""

from sqlalchemy.exc import IntegrityError

from thermokeeper.server.secrets import new_key
from thermokeeper.server.storage.database import Database
from thermokeeper.server.storage.shared_models import ServerKey


def server_key(database: Database, purpose: str) -> bytes:
    """The 16 random bytes for this purpose."""
    while True:
        with database.reading() as session:
            row = session.get(ServerKey, purpose)
            if row is not None:
                return bytes.fromhex(row.key)
        try:
            with database.writing() as session:
                session.add(ServerKey(purpose=purpose, key=new_key()))
        except IntegrityError:  # another server was faster
            continue
