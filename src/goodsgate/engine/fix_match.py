"""Match a fix with the rejected records of its batch, before it is accepted.

A file that is no corrected report would otherwise become new records of the batch, one for each of its lines.
"""

from collections.abc import Callable, Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO

import msgspec

from goodsgate import formats
from goodsgate.engine.fix_records import row_texts
from goodsgate.engine.merchant_limits import MerchantLimits
from goodsgate.engine.reader import open_fix
from goodsgate.engine.receive import Receipt, Submission
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.settings import EngineSettings
from goodsgate.model.batch import Batch, ReadingDecision, RoundKind
from goodsgate.model.counting import counted
from goodsgate.model.finding import FixMatch
from goodsgate.store.contract import Idempotency, NewRound, Store

MATCHED_RECORDS = 4_096
"""Records that are matched at once."""
MEMORY_BYTES = 1024 * 1024
"""A longer fix is copied to a temporary file."""
PIECE_BYTES = 256 * 1024


def match_fix(store: Store, limits: formats.Limits, batch: Batch, pieces: Iterable[bytes], *, format: str,
              content_encoding: str, encoding: str | None = None,
              watch: Callable[[formats.Chunk, list[str] | None], None] | None = None,
              decisions: list[ReadingDecision] | None = None) -> FixMatch:
    """Read a fix and return how it matches the rejected records of its batch.

    `encoding` is the charset that the submitter has named. `watch` is called with each chunk and the header, and
    `decisions` gets how the file was read. Raises Refusal (fix_rows_missing) if no record of it can be read.
    """
    limits = msgspec.structs.replace(limits, chunk_records_max=min(MATCHED_RECORDS, limits.chunk_records_max))
    reader = open_fix(
        iter(pieces), limits, format=format, content_encoding=content_encoding, kind=batch.kind, policy=batch.policy,
        reading=batch.reading, encoding=encoding,
    )
    replaced: set[int] = set()
    records = without_row = 0
    for chunk in reader.chunks():
        texts = row_texts(chunk, reader.header)
        numbers = [int(text) for text in texts if text.isdecimal()]
        replaced.update(store.rejected_by_number(batch.merchant, batch.id, numbers))
        records += len(texts)
        without_row += sum(not text for text in texts)
        if watch is not None:
            watch(chunk, reader.header)
    if decisions is not None:
        decisions += reader.decisions
    if not records and reader.stopped is not None:
        raise Refusal("fix_rows_missing", f"No record of the file can be read. {reader.stopped.message}")
    unmatched = records - without_row - len(replaced)
    return FixMatch(records=records, replacing=len(replaced), unmatched=unmatched, without_row=without_row)


def check_match(match: FixMatch, *, new_records: bool) -> None:
    """Raise Refusal (fix_rows_missing) for records without `_row`, unless they are meant as new records."""
    if match.without_row == match.records:
        raise Refusal(
            "fix_rows_missing",
            "No record of the file has a `_row`. Download the report of the batch and keep its column `_row`, or "
            "submit the file as a new batch.", **msgspec.structs.asdict(match),
        )
    if match.without_row and not new_records:
        raise Refusal(
            "fix_rows_missing",
            f"{match.without_row:,} of {counted(match.records, 'record has', 'records have')} no `_row`. Fill it in as "
            "in the report, remove these records, or add them to the batch as new ones (`new_records=true`, "
            "`--new-records`).",
            **msgspec.structs.asdict(match),
        )


class FixSubmission(Submission):
    """A fix while it is received: it is matched with the rejected records before it becomes durable."""

    def __init__(self, store: Store, settings: EngineSettings, find_batch: Callable[[], Batch], *, merchant: str,
                 limits: MerchantLimits, format: str, content_encoding: str, new_records: bool,
                 encoding: str | None = None, key: str | None = None,
                 fingerprint_of: str = "", answer: Callable[[Batch, FixMatch], bytes] | None = None) -> None:
        """Begin a fix of the batch that `find_batch` returns, which is not called if the key was answered before.

        `encoding` is the charset that the submitter has named. The fix is stored in UTF-8 then, and not compressed.
        """
        self._limits = settings.read_limits
        self._new_records = new_records
        self._transcoder = _transcoder(encoding, format)
        self._packed_as = content_encoding if self._transcoder is not None else "identity"
        """How the bytes are compressed that are to be stored in UTF-8."""
        self._find_batch = find_batch
        self._batch: Batch | None = None
        self._match = FixMatch()
        self._copy: SpooledTemporaryFile[bytes] | None = None

        def begin() -> NewRound:
            self._batch = self._find_batch()
            return NewRound(
                merchant=merchant, batch=self._batch.id, kind=RoundKind.FIX, format=format,
                content_encoding="identity" if self._transcoder is not None else content_encoding,
            )

        super().__init__(
            store, settings, merchant, begin, limits=limits, key=key, fingerprint_of=fingerprint_of,
            answer=None if answer is None else lambda batch: answer(batch, self._match),
        )

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body; raises as `Submission.write`."""
        if self._packed_as != "identity":
            self._keep(chunk)
        else:
            self._write(chunk)

    def _write(self, chunk: bytes) -> None:
        """Store the next bytes of the fix, in UTF-8 if its charset was named."""
        if not self._bytes and formats.has_byte_order_mark(chunk):  # which beats a name
            self._transcoder = None
        self._store_bytes(chunk if self._transcoder is None else self._transcoder.utf8(chunk))

    def _store_bytes(self, chunk: bytes) -> None:
        if chunk:
            super().write(chunk)
            self._keep(chunk)

    def _keep(self, chunk: bytes) -> None:
        if self._copy is None:
            self._copy = SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - finish and abort close it
        self._copy.write(chunk)

    def _unpack(self) -> None:
        """Store what was received compressed. Raises Refusal (fix_rows_missing) if it cannot be read to its end."""
        packed, self._copy = self._copy, None
        if packed is None:
            return
        reader = formats.PayloadReader(self._limits)
        with packed:
            for piece in formats.decompress(copied_pieces(packed), reader, content_encoding=self._packed_as):
                self._write(piece)
        if reader.stopped is not None:
            raise Refusal("fix_rows_missing", f"The file cannot be read to its end. {reader.stopped.message}")

    def finish(self, *, idempotency: Idempotency[Batch] | None = None) -> Receipt:
        """Match the fix and make it durable. Raises Refusal: fix_rows_missing, and as `Submission.finish`."""
        try:
            if self._packed_as != "identity":
                self._unpack()
            if self._transcoder is not None:
                self._store_bytes(self._transcoder.utf8(b"", is_last=True))
            self._match_copy()
        finally:
            self._close_copy()
        receipt = super().finish(idempotency=idempotency)
        return receipt if receipt.batch is None else msgspec.structs.replace(receipt, match=self._match)

    def _match_copy(self) -> None:
        if self._copy is None or self._batch is None or not isinstance(self._new, NewRound):
            return
        self._batch = self._find_batch()  # the match holds as long as no other round is added
        self._new = msgspec.structs.replace(self._new, rounds=self._batch.rounds)
        self._match = match_fix(
            self._store, self._limits, self._batch, copied_pieces(self._copy), format=self._new.format,
            content_encoding=self._new.content_encoding,
        )
        check_match(self._match, new_records=self._new_records)

    def abort(self) -> None:
        """Discard what was received; no effect after `finish`."""
        self._close_copy()
        super().abort()

    def _close_copy(self) -> None:
        if self._copy is not None:
            self._copy.close()


def _transcoder(encoding: str | None, format: str) -> formats.Transcoder | None:
    """Return what turns a fix into UTF-8; None if nobody has named its charset, or it is no table as text."""
    if encoding in (None, "utf-8") or format not in ("csv", "tsv"):
        return None
    return formats.Transcoder(str(encoding))


def copied_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a file from its first byte."""
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece
