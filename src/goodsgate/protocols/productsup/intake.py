"""An upload on its way in: unpacked, looked at, the verdict kept with the batch."""

import zlib

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.http.problems import refuse
from goodsgate.model.batch import now
from goodsgate.protocols.productsup.blob import Blob
from goodsgate.protocols.productsup.verdict import Lines, Stage

PAYLOAD_BYTES_MAX = 200 * 1024**2
"""Published as 200 MB, compressed or not: both are measured."""
PIECE_BYTES = 1024**2
"""Unpacked at once."""
UPLOAD = "upload"
"""The fact of a batch that holds its upload stage."""
FORESEEN = "foreseen"
"""That which holds what processing will say of records that the upload stage did not judge."""


class Intake:
    """What watches the submission of one upload."""

    def __init__(self, content_encoding: str, *, blob: Blob | None = None) -> None:
        self._lines = Lines()
        self._blob = blob
        self._bytes = 0
        self._packed = content_encoding == "gzip"
        self._inflate = zlib.decompressobj(31)
        self._inside = False
        """Whether a member of the gzip file is begun and has not ended."""

    def write(self, chunk: bytes) -> None:
        """The next bytes of the body; raises payload_too_large, body_invalid."""
        if not self._packed:
            self._take(chunk)
            return
        try:
            while chunk:
                self._inside = True
                self._take(self._inflate.decompress(chunk, PIECE_BYTES))
                chunk = self._inflate.unconsumed_tail
                if self._inflate.eof:
                    chunk = self._inflate.unused_data
                    self._inflate = zlib.decompressobj(31)
                    self._inside = False
        except zlib.error as fault:
            raise refuse("body_invalid", f"The body is not gzip: {fault}.") from fault

    def protocol_data(self) -> dict[str, str]:
        """The verdict, once all has come; raises body_invalid where gzip broke off, and Undecodable."""
        if self._inside:
            raise refuse("body_invalid", "The body is gzip that broke off.")
        return facts_of(self._lines.end(now())) if self._blob is None else facts_of(*self._blob.end(now()))

    def _take(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > PAYLOAD_BYTES_MAX:
            raise Refusal("payload_too_large", f"The payload is larger than {PAYLOAD_BYTES_MAX} bytes.")
        (self._blob or self._lines).write(piece)


def facts_of(upload: Stage, foreseen: Stage | None = None) -> dict[str, str]:
    """An upload stage as it is kept, and what is foreseen of processing."""
    kept = {UPLOAD: upload} if foreseen is None else {UPLOAD: upload, FORESEEN: foreseen}
    return {name: msgspec.json.encode(stage).decode() for name, stage in kept.items()}


def stage_of(facts: dict[str, str], name: str = UPLOAD) -> Stage | None:
    """The stage that was kept under the name."""
    return msgspec.json.decode(facts[name], type=Stage) if name in facts else None
