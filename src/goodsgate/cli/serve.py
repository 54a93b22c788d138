"""`serve` and `work`: the API process, which starts and watches workers, and a worker alone."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import click

from goodsgate.cli.errors import CommandError
from goodsgate.cli.process import lower_priority, raise_descriptor_limit, retain_freed_memory
from goodsgate.cli.settings import open_current_store, open_store, with_settings

if TYPE_CHECKING:
    from goodsgate.cli.supervisor import WorkerSupervisor
    from goodsgate.config import Config
    from goodsgate.store.contract import Store


@click.command()
@click.option("--host", help="Address to listen on. Default: 127.0.0.1.")
@click.option("--port", type=int, help="Port to listen on; 0 picks a free port. Default: 8480.")
@click.option("--workers", type=int, help="Number of worker processes to run; 0 for none. Default: 1.")
@click.option(
    "--first-merchant", metavar="ID",
    help="If the store has no merchants yet, create this one and print a key with all scopes.",
)
@with_settings
def serve(*, config: "Config", first_merchant: str | None) -> None:
    """Run the gate: the HTTP API and its workers.

    Prints its address once it accepts requests. On SIGTERM or Ctrl-C, the workers finish their current chunk and
    release their leases.

    \b
    Examples:
      goodsgate serve
      goodsgate serve --port 0 --store /var/lib/goodsgate
      goodsgate serve --first-merchant acme
    """

    def prepare(store: "Store") -> None:
        _log_problems(store)
        if first_merchant:
            _add_first_merchant(store, first_merchant)
        if not config.workers and "://" not in config.store:
            logging.getLogger(__name__).warning(
                "this process starts no worker; nothing is processed until `goodsgate work` runs on the same store"
            )

    def announce(address: str) -> None:
        click.echo(f"Goodsgate is running at {address} (console: {address}/console, docs: {address}/docs)")
        sys.stdout.flush()

    run_gate(config, prepare=prepare, on_ready=announce)


def run_gate(config: "Config", *, prepare: Callable[["Store"], None], on_ready: Callable[[str], None],
             stop: threading.Event | None = None) -> None:
    """Run the HTTP API and its workers until a stop signal arrives. Raises CommandError.

    `prepare` is called with the open store before any worker starts, `on_ready` with the address of the gate on the
    event loop, once it accepts requests. `stop` is set when the gate begins to stop.
    """
    from goodsgate.cli.supervisor import WorkerSupervisor

    stop = stop or threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        """Remember a signal of the start; uvicorn has handlers of its own, and raises theirs again at its end."""
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    retain_freed_memory()
    _configure_logging(config)
    listening = _listen(config)
    store = open_store(config)
    try:
        prepare(store)
        supervisor = WorkerSupervisor(config, config.workers)
        supervisor.start()
        try:
            _serve_http(store, config, listening, supervisor, on_ready=on_ready, stop=stop)
        finally:
            supervisor.stop()
    finally:
        store.close()


@click.command()
@click.option("--name", help="Name of the worker in leases and logs. Default: host and process id.")
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when standard input ends.")
@with_settings
def work(*, config: "Config", name: str | None, with_parent: bool) -> None:
    """Run a single worker, for gates started with --workers 0. It also sends outgoing messages.

    On SIGTERM or Ctrl-C, it finishes its current chunk and releases its lease.

    \b
    Example:
      goodsgate work --store /var/lib/goodsgate
    """
    from goodsgate import app
    from goodsgate.engine.presence import WorkerPresence
    from goodsgate.store.contract import SupportsPrefetch

    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if with_parent:
        threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
    retain_freed_memory()
    _configure_logging(config)
    store = _open_store(config, stop if with_parent else None)
    if store is None:
        return
    if isinstance(store, SupportsPrefetch):
        lower_priority()  # not with the embedded store, where API requests may wait for what this process writes
    outbox = app.create_outbox(store, config)
    outbox.start()
    jobs = app.create_jobs(store, config)
    jobs.start()
    change_files = app.create_change_files(store, config)
    if change_files is not None:
        change_files.start()
    name = name or _process_name()
    tracer = app.start_tracing(config, instance=name)
    presence = WorkerPresence(store, name)
    presence.start()
    try:
        app.create_worker(store, config, name, stop=stop).run()
    finally:
        presence.stop()
        if change_files is not None:
            change_files.stop()
        jobs.stop()
        outbox.stop()
        if tracer is not None:
            tracer.close()
        store.close()


def _open_store(config: "Config", stop: threading.Event | None) -> "Store | None":
    """Open the store; with `stop`, wait for one that is unavailable and return None if stopped meanwhile.

    A parent process has already opened the store, so that it exists and its address is right. A folder that is gone is
    waited for: a new store in its place would be another one.
    """
    from goodsgate.engine.outage import StoreOutage
    from goodsgate.store.contract import StoreError

    outage = StoreOutage("the worker")
    while stop is None or not stop.is_set():
        try:
            return open_store(config) if stop is None else open_current_store(config)
        except CommandError as error:
            if stop is None or not isinstance(error.__cause__, StoreError):
                raise
            outage.wait(StoreError(error.message), stop)  # without the password of the address
    return None


def _log_problems(store: "Store") -> None:
    """Log what the checks of the store find at the start, such as a disk that is nearly full."""
    for check in store.quick_checks():
        if check.remedy:
            logging.getLogger(__name__).warning("%s: %s; %s", check.name, check.detail, check.remedy)


def _configure_logging(config: "Config") -> None:
    from goodsgate import observe

    observe.configure_logging(config.log_level)
    # The gate logs its own start and stop, so uvicorn need not. httpx logs the URLs it calls, which may hold secrets.
    for name in ("uvicorn", "httpx"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _process_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


def _wait_for_parent(stop: threading.Event) -> None:
    """Set `stop` when standard input ends, as it does with the parent process, or cannot be read."""
    try:
        while os.read(sys.stdin.fileno(), 4096):
            pass
    finally:
        stop.set()


def _listen(config: "Config") -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        return socket.create_server((config.host, config.port), family=family, backlog=2048)
    except OSError as error:
        raise CommandError(f"cannot listen on {config.host} port {config.port}: {error.strerror or error}") from error


def _serve_http(store: "Store", config: "Config", listening: socket.socket, supervisor: "WorkerSupervisor", *,
                on_ready: Callable[[str], None], stop: threading.Event) -> None:
    """Serve requests until a stop signal arrives."""
    import uvicorn

    from goodsgate import app

    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    class GateServer(uvicorn.Server):
        """Server that tells its address once it is ready and stops the workers when it shuts down."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready(address)
            if stop.is_set():  # not before the main loop: uvicorn would leave without a shutdown
                asyncio.get_running_loop().call_soon(setattr, self, "should_exit", True)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            stop.set()
            supervisor.request_stop()
            await super().shutdown(sockets)

    application = app.create_app(store, config, workers_alive=supervisor.count_alive)
    limits = app.connection_limits(config, descriptors=raise_descriptor_limit())
    tracer = app.start_tracing(config, instance=_process_name())
    server = GateServer(app.server_config(application, limits, tracer=tracer))
    if not stop.is_set():
        server.run(sockets=[listening])
    if tracer is not None:
        tracer.close()
    if not server.started and not stop.is_set():
        raise CommandError("the gate could not start; the log above has the reason")


def _add_first_merchant(store: "Store", merchant: str) -> None:
    from goodsgate.cli.merchant import create_key, create_merchant
    from goodsgate.model.catalogue import Scope

    if store.merchants(limit=1).rows:
        return
    create_merchant(store, merchant, name=merchant)
    secret = create_key(store, merchant, scopes=set(Scope), label="first key")
    click.echo(f"Created merchant {merchant} with the key {secret}\nIt will not be shown again. To use it:")
    click.echo(f"  export GOODSGATE_KEY={secret}")
