"""The processes of the gate: one at the door, and workers behind it."""

import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

import click

from goodsgate.cli.exits import Unusable
from goodsgate.cli.process import give_way, keep_freed
from goodsgate.cli.settings import open_store, with_settings

if TYPE_CHECKING:
    from goodsgate.cli.supervise import Workers
    from goodsgate.config import Config
    from goodsgate.store.contract import Store


AWAY_SECONDS = 1.0
"""A worker looks this often whether a store that is away has come back."""


@click.command()
@click.option("--host", help="Address to listen on. Default: 127.0.0.1.")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one. Default: 8480.")
@click.option("--workers", type=int, help="Worker processes to start and watch; 0 for none. Default: 1.")
@click.option(
    "--first-merchant", metavar="ID",
    help="On a store without merchants: make this one and print a key with every scope, once.",
)
@with_settings
def serve(*, config: "Config", first_merchant: str | None) -> None:
    """Run the gate: the HTTP API and a worker.

    Prints its address once it accepts requests. SIGTERM or Ctrl-C lets the worker finish the portion in hand and
    gives its lease back.

    \b
    Examples:
      goodsgate serve
      goodsgate serve --port 0 --store /var/lib/goodsgate
      goodsgate serve --first-merchant acme
    """
    from goodsgate.cli.supervise import Workers

    keep_freed()
    _log(config)
    listening = _listen(config)
    store = open_store(config)
    if first_merchant:
        _welcome(store, first_merchant)
    workers = Workers(config, config.workers)
    workers.start()
    try:
        _answer(store, config, listening, workers)
    finally:
        workers.stop()
        store.close()


@click.command()
@click.option("--name", help="Name of the worker in leases and logs. Default: host and process id.")
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when standard input ends.")
@with_settings
def work(*, config: "Config", name: str | None, with_parent: bool) -> None:
    """Run a worker alone, for gates started with --workers 0. It carries messages, too.

    SIGTERM or Ctrl-C finishes the portion in hand and gives the lease back.

    \b
    Example:
      goodsgate work --store /var/lib/goodsgate
    """
    from goodsgate import app

    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if with_parent:
        threading.Thread(target=_follow_parent, args=(stop,), daemon=True).start()
    keep_freed()
    _log(config)
    store = _opened(config, stop if with_parent else None)
    if store is None:
        return
    if store.elsewhere:
        give_way()  # in the embedded store whoever answers may wait for what this process writes
    outbox = app.create_outbox(store, config)
    outbox.start()
    try:
        app.create_worker(store, config, name or f"{socket.gethostname()}-{os.getpid()}").run(stop)
    finally:
        outbox.stop()
        store.close()


def _opened(config: "Config", stop: threading.Event | None) -> "Store | None":
    """The store; with `stop`, one that is away just now is waited for. None if told to stop meanwhile.

    Who started this process has had the store open, so that nothing is wrong with its address.
    """
    import logging

    from goodsgate.store.contract import StoreBusyError

    while stop is None or not stop.is_set():
        try:
            return open_store(config)
        except Unusable as fault:
            if stop is None or not isinstance(fault.__cause__, StoreBusyError):
                raise
            logging.getLogger(__name__).warning("%s; trying again", fault.message)
            stop.wait(AWAY_SECONDS)
    return None


def _log(config: "Config") -> None:
    import logging

    from goodsgate import observe

    try:
        observe.configure_logging(config.log_level)
    except ValueError as fault:
        raise Unusable(f"log_level: {fault}") from fault
    # What uvicorn has to say of its own comings and goings, the gate says in one line of its own; and what is called by
    # httpx are others' addresses, which may hold what is nobody else's to know.
    for name in ("uvicorn", "httpx"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _follow_parent(stop: threading.Event) -> None:
    """Wait for the end of standard input, which is the end of the process that started this one."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()


def _listen(config: "Config") -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=2048)
    except OSError as fault:
        raise Unusable(f"cannot listen on {config.host} port {config.port}: {fault.strerror or fault}") from fault


def _answer(store: "Store", config: "Config", listening: socket.socket, workers: "Workers") -> None:
    """Answer requests until told to stop."""
    import uvicorn

    from goodsgate import app

    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    class Door(uvicorn.Server):
        """Says when it is open, and tells the workers when it closes."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            click.echo(f"Goodsgate is open at {address} (console: {address}/console, documentation: {address}/docs)")
            sys.stdout.flush()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            workers.ask_to_stop()
            await super().shutdown(sockets)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        """Take the signal that uvicorn raises again once it has shut down: we have a worker to wait for."""

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    application = app.create_app(store, config, workers_alive=workers.alive)
    door = Door(app.server_config(application))
    door.run(sockets=[listening])
    if not door.started:
        raise Unusable("the gate could not start; the reason is in the log above")


def _welcome(store: "Store", merchant: str) -> None:
    from goodsgate.cli.merchant import make_key, make_merchant
    from goodsgate.model.catalogue import Scope

    if store.merchants(limit=1).rows:
        return
    make_merchant(store, merchant, name=merchant)
    secret = make_key(store, merchant, scopes=set(Scope), label="first key")
    click.echo(f"Made the merchant {merchant} with the key {secret}\nIt is shown this once. Use it like this:")
    click.echo(f"  export GOODSGATE_KEY={secret}")
