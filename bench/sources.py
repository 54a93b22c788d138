"""Memory of fetching a large file, relative to the same file pushed: `python -m bench sources`.

The file has 1 GB, or 100 MB with --short. Each is received by a process of its own, which works no batch; the servers
run in this process.
"""

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.figures import Figure, lines_of
from goodsgate.app import create_engine, create_jobs, open_store
from goodsgate.config import Config
from goodsgate.engine.jobs import ClaimedJob
from goodsgate.engine.source_definitions import SOURCE, SourceChange, decode_report
from goodsgate.model.batch import Kind, Policy, now
from goodsgate.model.catalogue import Merchant
from tests.aws import Aws
from tests.sftp import PASSWORD, USER, SftpFolder

MEGABYTES, MEGABYTES_SHORT = 1_000, 100
RATIO_MAX = 1.5
"""Peak RSS of a fetch may be so many times that of a push: the libraries for SFTP and S3 are loaded for it alone."""
PIECE_BYTES = 1024**2


def parts(short: bool) -> Iterator[Figure]:
    """Push a file, and fetch it from a folder, over HTTP, SFTP and S3."""
    with tempfile.TemporaryDirectory(prefix="goodsgate-bench-") as name:
        folder = Path(name)
        (folder / "feed").mkdir()
        _write(folder / "feed" / "feed.ndjson", MEGABYTES_SHORT if short else MEGABYTES)
        config = Config(
            store=str(folder / "store"), feed_folders=name, feed_hosts="127.0.0.1", feed_private="allow",
            feed_http="allow",
        )
        store = open_store(config)
        store.migrate()
        store.add_merchant(Merchant(id="bench", name="bench", created_at=now()))
        store.close()
        pushed, pushed_seconds = _measure(_push, config, folder / "feed" / "feed.ndjson")
        for kind, change in _places(folder / "feed"):
            fetched, seconds = _measure(_fetch, config, kind, change)
            detail = f"{fetched:.0f} against {pushed:.0f} MB; {seconds:.1f} against {pushed_seconds:.1f} s"
            what = f"peak RSS of a fetch by {kind}, relative to a push"
            yield Figure(what, fetched / pushed, RATIO_MAX, False, detail)


def _write(path: Path, megabytes: int) -> None:
    lines = b"\n".join(lines_of(900)) + b"\n"
    with path.open("wb") as file:
        for _ in range(megabytes * 1_000_000 // len(lines)):
            file.write(lines)
    hour_ago = time.time() - 3_600
    os.utime(path, (hour_ago, hour_ago))


def _places(folder: Path) -> Iterator[tuple[str, SourceChange]]:
    yield "file", SourceChange(address=f"{folder.as_uri()}/")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield "http", SourceChange(address=f"http://127.0.0.1:{server.server_port}/feed.ndjson")
    server.shutdown()
    sftp = SftpFolder(folder)
    yield "sftp", SourceChange(
        address=sftp.url("feed.ndjson"), username=USER, credential={"password": PASSWORD}, host_key=sftp.fingerprint
    )
    sftp.close()
    aws = Aws()
    os.environ.update(aws.environ)
    bucket = aws.bucket()
    from goodsgate.store.objects import Objects

    with (folder / "feed.ndjson").open("rb") as file:
        Objects(f"s3://{bucket}").put(
            "feed.ndjson", iter(lambda: file.read(PIECE_BYTES), b""), media_type="application/x-ndjson"
        )
    yield "s3", SourceChange(
        address=f"s3://{bucket}/feed.ndjson", username="AKIALOCAL", credential={"password": "local"}, endpoint=aws.url
    )
    aws.close()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def _measure(work: Callable[..., None], *arguments: object) -> tuple[float, float]:
    """Run a function in a process of its own, and return its peak RSS in MB and how long it took."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_report, args=(queue, work, arguments))
    process.start()
    measured: tuple[float, float] = queue.get(timeout=3_600)
    process.join()
    return measured


def _report(queue: Any, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    began = time.monotonic()
    work(*arguments)
    seconds = time.monotonic() - began
    status = Path("/proc/self/status").read_text()  # getrusage also counts what the process was before its exec
    queue.put((int(status.partition("VmHWM:")[2].split()[0]) / 1_024, seconds))


def _push(config: Config, path: Path) -> None:
    store = open_store(config)
    submission = create_engine(store, config).submit(
        merchant="bench", kind=Kind.PRODUCT, collection="pushed", policy=Policy(), format="ndjson"
    )
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            submission.write(piece)
    submission.finish()
    store.close()


def _fetch(config: Config, kind: str, change: SourceChange) -> None:
    store = open_store(config)
    handler = create_jobs(store, config)._handlers[SOURCE]
    sources = handler._sources  # type: ignore[attr-defined]
    sources.save("bench", kind, change)
    view = sources.request_run("bench", kind)
    job = store.claim_job([SOURCE], lease_seconds=3_600)
    assert job is not None
    handler.work(ClaimedJob(store, job))
    (run,) = sources.runs(view, limit=1)
    assert decode_report(run).state == "finished", decode_report(run)
    store.close()
