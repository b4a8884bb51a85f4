"""The command `server`: runs one, copies and checks what it keeps. Vendors and owners have `client.commands`.

Only click is imported at once; the rest when a command runs, so that `--help` answers fast.
"""

import contextlib
import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from thermokeeper.client.commands.support import FILE
from thermokeeper.contract.places import DEFAULT_PORT, default_data
from thermokeeper.errors import ToolError
from thermokeeper.groups import Group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thermokeeper.server.http.context import Context
    from thermokeeper.server.logs import Format
    from thermokeeper.server.monitoring import Monitoring
    from thermokeeper.server.settings import Settings


@click.group(cls=Group)
def server() -> None:
    """Run the provisioning server.

    \b
    Example, from nothing to a device that can activate:
      thermokeeper server run                                   (in a terminal of its own)
      thermokeeper template create Thermometer
      thermokeeper product create thermometer --name Thermometer --template Thermometer --key key.pub.pem
      thermokeeper version create --template Thermometer --firmware thermometer-1.0.0.tkr --publish 1
      thermokeeper serial add --product thermometer THERM00000000000001
    """


@server.command("run")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is all of them.")
@click.option("--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0: a free one.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the database, firmware and token.  [default: a folder of the user's]",
)
@click.option(
    "--database",
    "database_url",
    envvar="THERMOKEEPER_DATABASE",
    show_envvar=True,
    help="Database URL, such as postgresql://user:password@host/name.  [default: SQLite in the data folder]",
)
@click.option("--vendor-token-file", type=FILE, help="File that keeps the vendor token.  [default: DATA/vendor-token]")
@click.option(
    "--tls", is_flag=True, help="Serve https, with a CA that is made on the first start and kept in DATA/tls."
)
@click.option("--name", "names", multiple=True, help="With --tls: a further name or address of this server; repeat it.")
@click.option(
    "--keep-points",
    type=click.IntRange(1, 36500),
    metavar="DAYS",
    help="Datapoints are removed so many days after they arrived; what each hour came to stays.  [default: for ever]",
)
@click.option("--behind-proxy", metavar="ADDRESS", help="A reverse proxy whose X-Forwarded-For tells who calls.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer, on one machine."
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="Give Prometheus its metrics at this port, without TLS or token; 0: a free one.  [default: not at all]",
)
@click.option(
    "--metrics-host", default="127.0.0.1", show_default=True, help="With --metrics-port: the address to listen on."
)
@click.option("--quiet", is_flag=True, help="No line for each call.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of the log on standard error: lines for people, or an object a line for programs.",
)
def run(
    host: str,
    port: int,
    data: Path | None,
    database_url: str | None,
    vendor_token_file: Path | None,
    tls: bool,
    names: tuple[str, ...],
    keep_points: int | None,
    behind_proxy: str | None,
    metrics_port: int | None,
    metrics_host: str,
    quiet: bool,
    workers: int,
    log_format: "Format",
) -> None:
    """Run the server until Ctrl-C.

    The first start makes the vendor token, prints it once, if to a terminal, and keeps it in a file that only you can
    read.
    The calls are explained at the address it prints, on the page /docs.

    \b
    Example: a server for devices in this network, on port 8000
      thermokeeper server run --host 0.0.0.0 --port 8000 --data ./server

    \b
    Example: the same with https; boards get its CA with `image build --ca ./server/tls/ca.pem`
      thermokeeper server run --host 0.0.0.0 --port 8000 --data ./server --tls --name 192.168.1.20
    """
    from thermokeeper.contract.tokens import TOKEN_FILE
    from thermokeeper.server import logs
    from thermokeeper.server.local import configuration, listen, serve, url_of, workers_count_together
    from thermokeeper.server.settings import Settings, vendor_token
    from thermokeeper.server.storage.database import alone
    from thermokeeper.server.tls import prepare

    if names and not tls:
        raise ToolError("--name is for the certificate of a server with --tls")
    logs.configure(log_format, calls=not quiet)
    data = data or default_data()
    token, made = vendor_token(data, vendor_token_file)
    settings = Settings(data, token, database_url, keep_points_days=keep_points, workers=workers)
    with contextlib.ExitStack() as held:
        held.enter_context(alone(database_url, data))
        files = prepare(data, host, names) if tls else None
        if metrics_port is not None and workers > 1:
            held.enter_context(workers_count_together())
        config = configuration(settings, proxy=behind_proxy, tls=files)
        monitoring = None
        if metrics_port is not None:
            monitoring = held.enter_context(_monitoring(config.app, settings, metrics_host, metrics_port))
        listening = listen(host, port)
        url = url_of(listening, tls)
        click.echo(f"Thermokeeper server at {url} (its calls: {url}/docs), data in {data}")
        if files:
            click.echo(f"CA for `image build --ca` and `--ca` of other commands: {files.ca}")
            click.echo(f"its certificate is for {', '.join(files.names)}; more with --name")
        if monitoring:
            click.echo(f"metrics for Prometheus at {monitoring.url}")
        if made and sys.stdout.isatty():  # elsewhere it would end in a log
            click.echo(f"vendor token, shown this once: {token}")
        click.echo(f"vendor token kept in {vendor_token_file or data / TOKEN_FILE}; Ctrl-C stops")
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn passes on the signal that ended it
            serve(config, settings, listening, functools.partial(logs.configure, log_format, calls=not quiet))
    click.echo("stopped")


@contextlib.contextmanager
def _monitoring(app: Any, settings: "Settings", host: str, port: int) -> "Iterator[Monitoring]":
    """For the operator's Prometheus. Of several processes this one only tells what they count together."""
    from thermokeeper.server.monitoring import Monitoring

    with contextlib.ExitStack() as held:
        if settings.workers > 1:
            from prometheus_client import CollectorRegistry

            from thermokeeper.server.storage.database import Database

            database = Database(settings.database_url, settings.data_dir)
            held.callback(database.close)
            monitoring = Monitoring(host, port, CollectorRegistry(), database)
        else:
            context: Context = app.state.context
            monitoring = Monitoring(host, port, context.metrics.registry, context.database)
        held.callback(monitoring.close)
        yield monitoring


_DATA = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The server's folder.  [default: a folder of the user's]",
)


@server.command("backup")
@_DATA
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
def backup(data: Path | None, target: Path) -> None:
    """Copy all that a server keeps to the new folder TARGET, also while it runs.

    The copy holds the vendor's token and each key's hash: keep it like a password. A server starts on it as it is.

    \b
    Example:
      thermokeeper server backup --data ./server ./server-of-today
      thermokeeper server run --data ./server-of-today
    """
    from thermokeeper.server.storage.copies import back_up

    versions, size = back_up(data or default_data(), target)
    click.echo(f"{target}: the database and the firmware of {versions} versions, {size:,} bytes")


@server.command("check")
@_DATA
def check(data: Path | None) -> None:
    """Say whether a server's folder is whole: its database, and each firmware as it was uploaded.

    A server may run on it meanwhile.

    \b
    Example:
      thermokeeper server check --data ./server
    """
    from thermokeeper.server.storage.copies import faults_of

    folder = data or default_data()
    faults = list(faults_of(folder))
    for line in faults:
        click.echo(line, err=True)
    if faults:
        raise ToolError(f"{folder} isn't whole: take the last backup, or upload these versions as new ones")
    click.echo(f"{folder} is whole")


GROUPS = [server]
