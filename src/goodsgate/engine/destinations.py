"""The destinations of merchants: saved, listed, paused, run, approved and deleted."""

import secrets
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import cast

import msgspec

from goodsgate.engine.credentials import CredentialError, Credentials, SealedCredential
from goodsgate.engine.destination_definitions import (
    DESTINATION,
    RUN_PLACE,
    SERVED,
    TIME_PLACE,
    Destination,
    DestinationChange,
    DestinationState,
    DestinationView,
    changed_fields,
    decode_destination_state,
)
from goodsgate.engine.export import exported_profiles
from goodsgate.engine.feed_table import check_options
from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.secrets import Secrets, UnknownMasterError
from goodsgate.formats.compressed_writer import Compression
from goodsgate.formats.parquet_writer import check_parquet
from goodsgate.model.audit import note
from goodsgate.model.batch import Kind, now
from goodsgate.model.catalogue import Resource
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.job import Job, JobRun, JobTime
from goodsgate.remote import (
    AddressError,
    HostKeyError,
    RemoteAddress,
    RemoteError,
    RemoteSettings,
    check_address,
    open_place,
    parse_address,
)
from goodsgate.store.contract import Idempotency, NameTakenError, ResourcesFullError, Store, StoreError
from goodsgate.store.objects import Objects
from goodsgate.targets import load_target, target_names

DESTINATIONS_MAX = 1_000
"""Destinations of one merchant; the setting allows no more."""
SALT_BYTES = 12
TABLES = ("csv", "tsv", "parquet")
SUFFIX_COMPRESSIONS: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}

_decode = msgspec.json.Decoder(Destination).decode

NAMED_FORMATS = {
    "csv": "csv", "tsv": "tsv", "ndjson": "ndjson", "jsonl": "ndjson", "parquet": "parquet", "xml": "google_rss",
}
"""End of a file's name → format."""


class DestinationAnswer(msgspec.Struct, frozen=True):
    """The answer to a request with an idempotency key, stored with its effect."""

    key: RequestKey
    serialize: Callable[[DestinationView], bytes]


class Destinations:
    """The destinations of all merchants; safe for threads. Methods raise Refusal: destination_unknown."""

    def __init__(self, store: Store, credentials: Credentials, secrets: Secrets, settings: RemoteSettings, *,
                 open_objects: Callable[[], Objects], destinations_max: int) -> None:
        """`open_objects` opens where served feeds are; it raises StoreError if there is no such place."""
        self.store = store
        self.credentials = credentials
        self.settings = settings
        self.open_objects = open_objects
        self._secrets = secrets
        self._destinations_max = destinations_max

    def all(self, merchant: str) -> list[DestinationView]:
        """Return the destinations of a merchant by name."""
        jobs = {job.number: job for job in self.store.jobs(merchant, DESTINATION)}
        views = [_view(each, jobs[each.number]) for each in self._resources(merchant) if each.number in jobs]
        return sorted(views, key=lambda view: view.name)

    def destination(self, merchant: str, name: str) -> DestinationView:
        """Return a destination."""
        return self._with_job(self._find(merchant, name))

    def find(self, merchant: str, number: int) -> DestinationView | None:
        """Return a destination by the number of its job; None if it was deleted."""
        resource = self.store.resource(merchant, DESTINATION, number)
        return None if resource is None else self._with_job(resource)

    def save(self, merchant: str, name: str, change: DestinationChange) -> DestinationView:
        """Save a destination, or replace it. Raises Refusal: destination_invalid, destinations_full."""
        note(subject=name)
        while True:
            resource = next((each for each in self._resources(merchant) if each.name == name), None)
            before = None if resource is None else _decode(resource.body)
            destination = self._destination(merchant, change, before)
            state = DestinationState()
            if resource is not None:
                job = self.store.job(merchant, DESTINATION, resource.number)
                state = DestinationState() if job is None else decode_destination_state(job)
            body, time = msgspec.json.encode(destination), JobTime(destination.next_run(state))
            try:
                if resource is None:
                    return self._with_job(self.store.add_resource(
                        merchant, DESTINATION, name=name, body=body, resources_max=self._destinations_max, job=time
                    ))
                saved = self.store.put_resource(msgspec.structs.replace(resource, body=body), job=time)
                if saved is not None:
                    return self._with_job(saved)
            except NameTakenError:
                continue
            except ResourcesFullError:
                raise Refusal("destinations_full", limit=self._destinations_max) from None

    def delete(self, merchant: str, name: str) -> None:
        """Delete a destination with its history; files that were written elsewhere stay."""
        note(subject=name)
        while True:
            resource = self._find(merchant, name)
            state = decode_destination_state(self._job(resource))
            deleted = msgspec.structs.replace(resource, expires_at=now())
            if self.store.put_resource(deleted, job=JobTime(None)) is not None:
                break
        paths = [*state.obsolete, *(file.path for file in state.files if file.path)]
        if paths:
            objects = self.open_objects()
            for path in paths:
                objects.delete(path)

    def pause(self, merchant: str, name: str, *, answer: DestinationAnswer | None = None) -> DestinationView:
        """Write nothing by the schedule until the destination is resumed; a run in progress goes on."""
        def pause(destination: Destination) -> Destination:
            return msgspec.structs.replace(destination, paused_at=destination.paused_at or now())

        return self._update(merchant, name, pause, answer=answer)

    def resume(self, merchant: str, name: str, *, answer: DestinationAnswer | None = None) -> DestinationView:
        """Go on with the schedule."""
        def resume(destination: Destination) -> Destination:
            if destination.paused_at is None:
                return destination
            return msgspec.structs.replace(destination, paused_at=None, scheduled_from=now())

        return self._update(merchant, name, resume, answer=answer)

    def request_run(self, merchant: str, name: str, *, answer: DestinationAnswer | None = None) -> DestinationView:
        """Let a worker write the feed now, even if the destination is paused."""
        return self._update(merchant, name, lambda destination: destination, answer=answer, requested=True)

    def approve(self, merchant: str, name: str, *, answer: DestinationAnswer | None = None) -> DestinationView:
        """Let a worker write the feed now, however small it is. Raises Refusal: destination_not_held."""
        def approve(destination: Destination, held: int) -> Destination:
            return msgspec.structs.replace(destination, approved_run=held)

        return self._decide(merchant, name, approve, answer=answer, requested=True)

    def discard(self, merchant: str, name: str, *, answer: DestinationAnswer | None = None) -> DestinationView:
        """Let the feed that was published last stay. Raises Refusal: destination_not_held."""
        def discard(destination: Destination, held: int) -> Destination:
            return msgspec.structs.replace(destination, discarded_run=held)

        return self._decide(merchant, name, discard, answer=answer, requested=False)

    def test(self, merchant: str, name: str) -> str:
        """Connect to the place of a destination; return the fingerprint of its key if it is pinned by this.

        Raises Refusal: destination_invalid, with the reason.
        """
        view = self.destination(merchant, name)
        try:
            if view.destination.is_served:
                self.open_objects()
                return ""
            try:
                self._connect(view)
            except HostKeyError as fault:
                if view.destination.host_key:
                    raise
                pinned = fault.fingerprint
                view = self._update(merchant, name, lambda before: msgspec.structs.replace(before, host_key=pinned))
                self._connect(view)
                return pinned
        except (RemoteError, CredentialError, ExtraMissingError, StoreError) as fault:
            raise Refusal("destination_invalid", str(fault)) from fault
        return ""

    def runs(self, view: DestinationView, *, before: int | None = None, limit: int = 50) -> list[JobRun]:
        """Return runs of a destination, the newest first."""
        return self.store.job_runs(view.merchant, DESTINATION, view.number, before=before, limit=limit)

    def secrets(self, view: DestinationView) -> dict[str, str]:
        """Return the values of the credential. Raises CredentialError, ExtraMissingError."""
        return self.credentials.open(view.merchant, DESTINATION, view.destination.credential)

    def signature(self, view: DestinationView) -> str:
        """Return what a served address has, so that nobody else can guess it."""
        return self._signature(view)

    def served(self, merchant: str, number: int, signature: str) -> DestinationView | None:
        """Return the destination of a served address; None if there is none, or the signature is another one."""
        view = self.find(merchant, number)
        if view is None or not view.destination.is_served:
            return None
        valid = [self._signature(view, by=by) for by in self._secrets.names]
        return view if any(compare_digest(each, signature) for each in valid) else None

    def _signature(self, view: DestinationView, *, by: str | None = None) -> str:
        name = f"{view.merchant}/{view.number}/{view.destination.salt}"
        try:
            return self._secrets.derived(DESTINATION, name, by=by)[0].hex()
        except UnknownMasterError:
            return ""

    def _connect(self, view: DestinationView) -> None:
        destination = view.destination
        with open_place(destination.address, destination.access(self.secrets(view)), self.settings):
            return

    # -- what a change asks for -------------------------------------------------------------------------------------
    def _destination(self, merchant: str, change: DestinationChange, before: Destination | None) -> Destination:
        """Return what a change asks for. Raises Refusal: destination_invalid."""
        at = now()
        try:
            address = None if change.to.strip() == SERVED else parse_address(change.to)
            if address is None:
                self.open_objects()
            format = _format(change, address)
            destination = Destination(
                **changed_fields(change), to=SERVED if address is None else address.text, format=format,
                compression=_compression(change, address, format),
                credential=self._kept(merchant, change, address, before), host_key=_host_key(change, address, before),
                salt=secrets.token_hex(SALT_BYTES) if before is None else before.salt, scheduled_from=at,
                created_at=at if before is None else before.created_at,
                paused_at=None if before is None else before.paused_at,
            )
            destination.check_times()
            _check_mode(destination, address)
            if address is not None:
                if address.has_pattern or address.scheme in ("https", "http"):
                    raise RemoteError("A feed is written to sftp://, s3:// or file://, without a pattern.", final=True)
                check_address(address, destination.access({}), self.settings)
        except (AddressError, RemoteError, CredentialError, ExtraMissingError, StoreError) as fault:
            raise Refusal("destination_invalid", str(fault)) from fault
        except ValueError as fault:
            raise Refusal("destination_invalid", f"The times of the destination cannot be used: {fault}.") from fault
        return destination

    def _kept(self, merchant: str, change: DestinationChange, address: RemoteAddress | None,
              before: Destination | None) -> SealedCredential:
        """Return the credential; a stored one stays only with its host, to which it was entrusted."""
        if change.credential is not None:
            values = cast(Mapping[str, str], change.credential)
            return self.credentials.seal(merchant, DESTINATION, values)
        if before is None or not (before.credential.sealed or before.credential.variables):
            return SealedCredential()
        if not _is_same_host(change, address, before):
            raise CredentialError("The host is another one; give the credential again.")
        return before.credential

    # -- the store --------------------------------------------------------------------------------------------------
    def _decide(self, merchant: str, name: str, decide: Callable[[Destination, int], Destination], *,
                answer: DestinationAnswer | None, requested: bool) -> DestinationView:
        held = self.destination(merchant, name).held_run
        if not held:
            raise Refusal("destination_not_held")
        return self._update(merchant, name, lambda destination: decide(destination, held), answer=answer,
                            requested=requested)

    def _update(self, merchant: str, name: str, change: Callable[[Destination], Destination], *,
                answer: DestinationAnswer | None = None, requested: bool = False) -> DestinationView:
        while True:
            resource = self._find(merchant, name)
            note(subject=name)
            job = self._job(resource)
            destination = change(_decode(resource.body))
            time = JobTime(destination.next_run(decode_destination_state(job)), job.requested)
            if requested or (job.requested and job.due_at is not None):
                time = JobTime(now() if requested else job.due_at, requested=True)
            changed = msgspec.structs.replace(resource, body=msgspec.json.encode(destination))
            saved = self.store.put_resource(changed, job=time, idempotency=_idempotency(answer, job, time))
            if saved is not None:
                return self._with_job(saved)

    def _resources(self, merchant: str) -> list[Resource]:
        return self.store.resources(merchant, DESTINATION, limit=DESTINATIONS_MAX)

    def _find(self, merchant: str, name: str) -> Resource:
        found = next((each for each in self._resources(merchant) if each.name == name), None)
        if found is None:
            raise Refusal("destination_unknown")
        return found

    def _job(self, resource: Resource) -> Job:
        job = self.store.job(resource.merchant, DESTINATION, resource.number)
        if job is None:
            raise Refusal("destination_unknown")
        return job

    def _with_job(self, resource: Resource) -> DestinationView:
        return _view(resource, self._job(resource))


def _format(change: DestinationChange, address: RemoteAddress | None) -> str:
    """Return the format of a feed: the one asked for, that of the file's name, or the usual one.

    Raises Refusal: destination_invalid, ExtraMissingError for Parquet.
    """
    wanted = change.format or _format_of_name(address.name if address is not None else "")
    format: str
    allowed: tuple[str, ...]
    if change.profile is None:
        format, allowed = wanted or "ndjson", ("ndjson", *TABLES)
    elif change.profile in target_names():
        target = load_target(change.profile)
        format, allowed = wanted or target.formats[0], (*target.formats, "csv", "tsv")
        if change.kind is not Kind.PRODUCT:
            raise Refusal("destination_invalid", f"{target.title} is for kind=product.")
        check_options(target, change.values)
    elif change.profile in exported_profiles():
        format, allowed = wanted or "csv", TABLES
    else:
        names = ", ".join(sorted({*exported_profiles(), *target_names()}))
        raise Refusal("destination_invalid", f"profile must be one of {names}.")
    if format not in allowed:
        names = ", ".join(dict.fromkeys(allowed))
        said = "format" if change.format is not None else f"The name of the file says {format}, but the format"
        raise Refusal("destination_invalid", f"{said} must be one of {names}.")
    if change.values and change.profile not in target_names():
        raise Refusal("destination_invalid", "Values can be set for google, meta and openai.")
    if format == "parquet":
        check_parquet()
    return format


def _format_of_name(name: str) -> str | None:
    """Return the format that the name of a file says; None if it says nothing."""
    for suffix in SUFFIX_COMPRESSIONS:
        name = name.removesuffix(suffix)
    return NAMED_FORMATS.get(name.rpartition(".")[2].lower())


def _compression(change: DestinationChange, address: RemoteAddress | None, format: str) -> Compression:
    name = address.name if address is not None else ""
    named: Compression = next((each for suffix, each in SUFFIX_COMPRESSIONS.items() if name.endswith(suffix)), "none")
    compression = named if change.compression is None else change.compression
    if format == "parquet" and compression != "none":
        raise Refusal("destination_invalid", "Parquet is compressed inside; leave out the compression.")
    return compression


def _check_mode(destination: Destination, address: RemoteAddress | None) -> None:
    """Raise Refusal: destination_invalid for changes that nobody could read."""
    if destination.mode == "full":
        return
    if destination.profile is not None:
        raise Refusal("destination_invalid", "A profile is a full feed: its receiver deletes what is missing.")
    places = (RUN_PLACE, TIME_PLACE)
    if address is None or not any(place in address.name for place in places):
        detail = "Files of changes need a name each: put {run} or {time} into the name of the file."
        raise Refusal("destination_invalid", detail)


def _host_key(change: DestinationChange, address: RemoteAddress | None, before: Destination | None) -> str:
    if change.host_key is not None:
        return change.host_key
    return before.host_key if before is not None and _is_same_host(change, address, before) else ""


def _is_same_host(change: DestinationChange, address: RemoteAddress | None, before: Destination) -> bool:
    if address is None or before.is_served or before.endpoint != change.endpoint:
        return False
    other = before.address
    return (address.scheme, address.host, address.port) == (other.scheme, other.host, other.port)


def _view(resource: Resource, job: Job) -> DestinationView:
    return DestinationView(
        merchant=resource.merchant, number=resource.number, name=resource.name, destination=_decode(resource.body),
        job=job, state=decode_destination_state(job),
    )


def _idempotency(answer: DestinationAnswer | None, job: Job, time: JobTime) -> Idempotency[Resource] | None:
    if answer is None:
        return None
    changed = msgspec.structs.replace(job, due_at=time.due_at, requested=time.requested)
    return answer.key.answered_by(lambda stored: answer.serialize(_view(stored, changed)))
