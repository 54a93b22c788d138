"""Recognize the profiles that a merchant has saved by the header of a table, before it becomes a batch."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from goodsgate import formats
from goodsgate.engine.reader import read_options
from goodsgate.engine.saved_profiles import SavedProfile, apply_profile, saved_profiles
from goodsgate.model.batch import Kind, Policy
from goodsgate.profiles import fold
from goodsgate.store.contract import Store

HEAD_BYTES = 256 * 1024
"""First bytes of a text table that are enough; a workbook and an archive are read whole."""
MEMORY_BYTES = 1024 * 1024
"""Larger workbooks and archives wait in a temporary file."""
PIECE_BYTES = 256 * 1024


class ProfileRecognizer:
    """The policy of a submission, which a saved profile may add to; `write` its bytes, then ask for the `policy`."""

    def __init__(self, profiles: Mapping[str, SavedProfile], policy: Policy, *, kind: Kind, format: str,
                 content_encoding: str, limits: formats.Limits) -> None:
        self._profiles = profiles
        self._policy = policy
        self._kind = kind
        self._format = format
        self._content_encoding = content_encoding
        self._limits = msgspec.structs.replace(limits, chunk_records_max=1)
        is_whole = format == "xlsx" or content_encoding == "zip"
        self._bytes_left = limits.xlsx_bytes_max if is_whole else HEAD_BYTES
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - closed by `policy`, or with this

    def write(self, piece: bytes) -> None:
        """Take the next bytes of the submission."""
        if self._bytes_left > 0:
            self._file.write(piece[: self._bytes_left])
            self._bytes_left -= len(piece)

    def policy(self) -> Policy:
        """Return the policy, with the options of the saved profile whose columns are the most in the header, if any.

        A header is that of a profile if it has all of its columns. It is read as the profile says.
        """
        headers: dict[tuple[object, ...], list[str]] = {}
        best, share_of_best = self._policy, 0.0
        for name, saved in self._profiles.items():
            policy = apply_profile(self._policy, name, saved, is_recognized=True)
            options = (policy.encoding, policy.delimiter, policy.sheet, policy.header_row)
            if options not in headers:
                headers[options] = [*map(fold, self._header(policy))]
            header = headers[options]
            share = len(saved.header) / len(header) if header and {*map(fold, saved.header)} <= {*header} else 0.0
            if share > share_of_best:
                best, share_of_best = policy, share
        self._file.close()
        return best

    def _header(self, policy: Policy) -> list[str]:
        """Return the header of the file, read by a policy."""
        reader = formats.open_reader(
            self._pieces(), format=self._format, content_encoding=self._content_encoding, limits=self._limits,
            options=read_options(self._kind, policy),
        )
        next(filter(len, reader.chunks()), None)
        return reader.header or []

    def _pieces(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece


def profile_recognizer(store: Store, merchant: str, policy: Policy, *, kind: Kind, format: str, content_encoding: str,
                       limits: formats.Limits) -> ProfileRecognizer | None:
    """Return what recognizes the profile of a submission; None if it names one, or if none can be recognized."""
    if format not in formats.TABLES or policy.profile is not None or policy.saved_profile is not None or policy.schema:
        return None
    profiles = {name: saved for name, saved in saved_profiles(store, merchant).items() if saved.header}
    if not profiles:
        return None
    return ProfileRecognizer(
        profiles, policy, kind=kind, format=format, content_encoding=content_encoding, limits=limits
    )


def with_recognized_profile(
    store: Store, merchant: str, policy: Policy, pieces: Iterable[bytes], *, kind: Kind, format: str,
    content_encoding: str, limits: formats.Limits,
) -> Policy:
    """Return the policy of a file whose first bytes are given, with what a saved profile adds that its header shows."""
    recognizer = profile_recognizer(
        store, merchant, policy, kind=kind, format=format, content_encoding=content_encoding, limits=limits
    )
    if recognizer is None:
        return policy
    for piece in pieces:
        recognizer.write(piece)
    return recognizer.policy()
