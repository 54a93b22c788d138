"""A test of a source: what a run would fetch now, and how the first megabyte of it is read. Nothing is applied."""

from contextlib import ExitStack, closing

import msgspec

from goodsgate import formats
from goodsgate.engine.credentials import CredentialError
from goodsgate.engine.dry_run import DryRunner
from goodsgate.engine.inspection import HEAD_BYTES, Inspection, inspect_file
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.source_definitions import SourceView
from goodsgate.engine.sources import Sources
from goodsgate.engine.submission_options import options_policy
from goodsgate.model.extras import ExtraMissingError
from goodsgate.remote import (
    Access,
    HostKeyError,
    RemoteError,
    RemoteFile,
    RemotePlace,
    open_place,
    parse_address,
)

FILES_SHOWN_MAX = 100


class TrialFile(msgspec.Struct, frozen=True):
    """A file that the address means."""

    file: RemoteFile
    is_new: bool
    """Whether a run would fetch it."""


class SourceTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a test has found."""

    error: str = ""
    """Why there is no more."""
    host_key: str = ""
    """Fingerprint of the key of the SFTP host, if it was pinned by this test."""
    files: list[TrialFile] = []
    """The newest first."""
    files_total: int = 0
    inspected: str = ""
    """Name of the file whose beginning was read."""
    inspection: Inspection | None = None


def try_source(sources: Sources, runner: DryRunner, limits: formats.Limits, view: SourceView) -> SourceTrial:
    """Return what a run would fetch. The key of an SFTP host is pinned if none is. Raises Refusal: source_unknown."""
    pinned = ""
    try:
        access = view.source.access(sources.secrets(view))
        with ExitStack() as stack:
            try:
                place = stack.enter_context(_open(sources, view, access))
            except HostKeyError as fault:
                if view.source.host_key:
                    raise
                pinned = fault.fingerprint
                view = sources.pin_host_key(view.merchant, view.name, pinned)
                access = msgspec.structs.replace(access, host_key=view.source.host_key)
                place = stack.enter_context(_open(sources, view, access))
            trial = msgspec.structs.replace(_look(place, runner, limits, view), host_key=pinned)
    except (RemoteError, CredentialError, ExtraMissingError) as fault:
        return SourceTrial(error=str(fault), host_key=pinned)
    return trial


def _open(sources: Sources, view: SourceView, access: Access) -> RemotePlace:
    return open_place(parse_address(view.source.address), access, sources.settings)


def _look(place: RemotePlace, runner: DryRunner, limits: formats.Limits, view: SourceView) -> SourceTrial:
    files = place.files()
    new = view.new_files(files)
    names = {file.name for file in new}
    trial = SourceTrial(
        files=[TrialFile(file, file.name in names) for file in files[:FILES_SHOWN_MAX]], files_total=len(files)
    )
    if not files:
        return trial
    file = new[0] if new else files[0]
    try:
        inspection = _inspect(place, runner, limits, view, file)
    except (RemoteError, Refusal) as fault:
        return msgspec.structs.replace(trial, inspected=file.name, error=str(fault))
    return msgspec.structs.replace(trial, inspected=file.name, inspection=inspection)


def _inspect(place: RemotePlace, runner: DryRunner, limits: formats.Limits, view: SourceView, file: RemoteFile,
             ) -> Inspection:
    head, is_whole = bytearray(), True
    with closing(place.read(file)) as pieces:
        for piece in pieces:
            head += piece
            if len(head) > HEAD_BYTES:
                is_whole = False
                break
    source = view.source
    content = bytes(head[:HEAD_BYTES]) if not is_whole else bytes(head)
    if not content:
        raise Refusal("payload_empty", f"The file {file.name} is empty.")
    try:
        format, content_encoding = formats.detect(
            content_type=None, content_encoding=None, filename=file.name, head=content, format=source.options.format
        )
    except (formats.UnknownFormatError, formats.UnknownContentEncodingError) as fault:
        raise Refusal("format_unknown", str(fault)) from fault
    policy = options_policy(runner.store, view.merchant, source.kind, source.options)
    return inspect_file(
        runner, content, limits, is_whole=is_whole, merchant=view.merchant, kind=source.kind,
        collection=source.collection, policy=policy, format=format, content_encoding=content_encoding,
    )
