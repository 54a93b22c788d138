"""One file of a source: read as a stream, from where a lost connection has left it, into a submission."""

import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing

import msgspec
import xxhash

from goodsgate import formats
from goodsgate.engine.api import Engine
from goodsgate.engine.jobs import ClaimedJob
from goodsgate.engine.receive import Submission
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.source_definitions import SOURCE, SourceView
from goodsgate.engine.submission_options import options_policy
from goodsgate.remote import FileChangedError, RemoteError, RemoteFile, RemotePlace

HEAD_BYTES = 64 * 1024
"""First bytes by which the format is detected."""
RESUMES_MAX = 3
"""Times in a row, without a byte between, that a lost connection is made again."""
RESUME_SECONDS = 1.0
"""Pause before the first of them; it doubles."""
PROTOCOL = SOURCE.partition("/")[0]
LABEL_CHARACTERS_MAX = 200

Connect = Callable[[], RemotePlace]


class Deadline:
    """The time and the rate of one run."""

    def __init__(self, claimed: ClaimedJob, seconds_max: float, bytes_per_second_max: int) -> None:
        """Take the bounds; 0 bytes per second are no bound."""
        self._claimed = claimed
        self._seconds_max = seconds_max
        self._rate = bytes_per_second_max
        self._began = time.monotonic()
        self._bytes = 0

    def take(self, count: int) -> None:
        """Count bytes, and wait if they came too fast. Raises RemoteError, JobStoppedError."""
        self._claimed.check()
        self._bytes += count
        elapsed = time.monotonic() - self._began
        if elapsed > self._seconds_max:
            raise RemoteError(f"The run took more than {self._seconds_max:g} s (setting feed_seconds_max).")
        if self._rate and self._bytes / self._rate > elapsed:
            self._claimed.wait(self._bytes / self._rate - elapsed)

    def wait(self, seconds: float) -> None:
        """Sleep. Raises JobStoppedError."""
        self._claimed.wait(seconds)


def read_file(place: RemotePlace, connect: Connect, file: RemoteFile, deadline: Deadline,
              ) -> Generator[bytes, None, None]:
    """Yield the bytes of a file; after a lost connection, go on with the next byte. Raises RemoteError."""
    offset = resumes = 0
    with ExitStack() as stack:
        pieces = stack.enter_context(closing(place.read(file)))
        while True:
            try:
                piece = next(pieces, None)
            except FileChangedError:
                raise
            except RemoteError as fault:
                if fault.final or resumes == RESUMES_MAX:
                    raise
                deadline.wait(RESUME_SECONDS * 2 ** resumes)
                resumes += 1
                place = stack.enter_context(connect())
                pieces = stack.enter_context(closing(place.read(file, offset=offset)))
                continue
            if piece is None:
                return
            offset, resumes = offset + len(piece), 0
            deadline.take(len(piece))
            yield piece


class FetchResult(msgspec.Struct, frozen=True):
    """What became of a file."""

    size: int
    digest: str
    batch: str | None
    """None: it has the content of the file before."""


def submit_file(engine: Engine, view: SourceView, file: RemoteFile, pieces: Iterator[bytes], *, id: str, run: int,
                known_digest: str) -> FetchResult:
    """Submit a file as a batch with this id, unless its content is known. Raises Refusal, RemoteError."""
    head: list[bytes] = []
    size, digest = 0, xxhash.xxh3_128()
    for piece in pieces:
        head.append(piece)
        if sum(map(len, head)) >= HEAD_BYTES:
            break
    submission = _begin(engine, view, file, b"".join(head)[:HEAD_BYTES], id=id, run=run)
    try:
        for piece in _chain(head, pieces):
            size += len(piece)
            digest.update(piece)
            submission.write(piece)
        if digest.hexdigest() == known_digest:
            submission.abort()
            return FetchResult(size, known_digest, None)
        receipt = submission.finish()
    except BaseException:
        submission.abort()
        raise
    if receipt.replay is not None:  # another process was faster
        return FetchResult(size, digest.hexdigest(), receipt.replay.body.decode())
    assert receipt.batch is not None
    return FetchResult(size, digest.hexdigest(), receipt.batch.id)


def _begin(engine: Engine, view: SourceView, file: RemoteFile, head: bytes, *, id: str, run: int) -> Submission:
    source = view.source
    if not head:
        raise Refusal("payload_empty", f"The file {file.name} is empty.")
    try:
        format, content_encoding = formats.detect(
            content_type=None, content_encoding=None, filename=file.name, head=head, format=source.options.format
        )
    except (formats.UnknownFormatError, formats.UnknownContentEncodingError) as fault:
        raise Refusal("format_unknown", f"{file.name}: {fault}") from fault
    named = hashlib.sha256(f"{file.name}\0{file.version}".encode()).hexdigest()[:32]
    return engine.submit(
        merchant=view.merchant, kind=source.kind, collection=source.collection,
        policy=lambda: options_policy(engine.store, view.merchant, source.kind, source.options),
        format=format, content_encoding=content_encoding, label=file.name[:LABEL_CHARACTERS_MAX], protocol=PROTOCOL,
        protocol_data={"source": view.name, "run": str(run)}, id=id,
        # Two processes that work on the same run, because one of them was cut off, make one batch.
        idempotency_key=f"source-{view.number}-{run}-{named}", answer=lambda batch: batch.id.encode(),
    )


def _chain(head: list[bytes], pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from head
    head.clear()
    yield from pieces
