"""The watcher of an upload: it decompresses and checks the body while the engine stores it."""

import zlib

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.protocols.productsup.raw_upload import RawUpload
from goodsgate.protocols.productsup.upload_validation import LineChecker, StageReport

PAYLOAD_BYTES_MAX = 200 * 1024**2
"""Published as 200 MB, compressed or not; both sizes are limited."""
PIECE_BYTES = 1024**2
"""Bytes that are decompressed together."""
UPLOAD = "upload"
"""Name under which a batch stores its upload stage."""
EXPECTED = "expected"
"""Name under which a batch stores the expected processing of records that the upload stage does not report."""


class UploadWatcher:
    """Watcher of the submission of one upload."""

    def __init__(self, content_encoding: str, *, raw_upload: RawUpload | None = None) -> None:
        self._lines = LineChecker()
        self._raw_upload = raw_upload
        self._bytes = 0
        self._is_compressed = content_encoding == "gzip"
        self._inflate = zlib.decompressobj(31)
        self._inside_member = False
        """Whether a member of the gzip file has begun and not ended."""

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the body. Raises payload_too_large and body_invalid."""
        if not self._is_compressed:
            self._write_decompressed(chunk)
            return
        try:
            while chunk:
                self._inside_member = True
                self._write_decompressed(self._inflate.decompress(chunk, PIECE_BYTES))
                chunk = self._inflate.unconsumed_tail
                if self._inflate.eof:
                    chunk = self._inflate.unused_data
                    self._inflate = zlib.decompressobj(31)
                    self._inside_member = False
        except zlib.error as fault:
            raise refuse("body_invalid", f"The body is not gzip: {fault}.") from fault

    def protocol_data(self) -> dict[str, str]:
        """Return the stages to store with the batch.

        Raises body_invalid if the gzip data is incomplete, and UndecodableUploadError.
        """
        if self._inside_member:
            raise refuse("body_invalid", "The body is gzip that broke off.")
        if self._raw_upload is None:
            return serialize_stages(self._lines.end(now()))
        return serialize_stages(*self._raw_upload.end(now()))

    def _write_decompressed(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > PAYLOAD_BYTES_MAX:
            raise Refusal("payload_too_large", f"The payload is larger than {PAYLOAD_BYTES_MAX} bytes.")
        (self._raw_upload or self._lines).write(piece)


def serialize_stages(upload: StageReport, expected: StageReport | None = None) -> dict[str, str]:
    """Return the upload stage, and the expected processing stage if there is one, as a batch stores them."""
    stages = {UPLOAD: upload} if expected is None else {UPLOAD: upload, EXPECTED: expected}
    return {name: msgspec.json.encode(stage).decode() for name, stage in stages.items()}


def read_stage(stored: dict[str, str], name: str = UPLOAD) -> StageReport | None:
    """Return the stage that a batch stores under the name."""
    return msgspec.json.decode(stored[name], type=StageReport) if name in stored else None
