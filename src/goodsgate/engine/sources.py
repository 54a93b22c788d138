"""The sources of merchants: saved, listed, paused, run and deleted."""

from collections.abc import Callable

import msgspec

from goodsgate.engine.credentials import CredentialError, Credentials, SealedCredential
from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.source_definitions import (
    SOURCE,
    FeedSource,
    SourceChange,
    SourceState,
    SourceView,
    decode_state,
)
from goodsgate.engine.submission_options import options_policy
from goodsgate.model.audit import note
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.model.extras import ExtraMissingError
from goodsgate.model.job import Job, JobRun, JobTime
from goodsgate.remote import AddressError, RemoteAddress, RemoteError, RemoteSettings, check_address, parse_address
from goodsgate.remote.contract import check_name
from goodsgate.store.contract import Idempotency, NameTakenError, ResourcesFullError, Store

SOURCES_MAX = 1_000
"""Sources of one merchant; the setting allows no more."""

_decode = msgspec.json.Decoder(FeedSource).decode


class SourceAnswer(msgspec.Struct, frozen=True):
    """The answer to a request with an idempotency key, stored with its effect."""

    key: RequestKey
    serialize: Callable[[SourceView], bytes]


class Sources:
    """The sources of all merchants; safe for threads. Methods raise Refusal: source_unknown."""

    def __init__(self, store: Store, credentials: Credentials, settings: RemoteSettings, *, sources_max: int) -> None:
        self.store = store
        self.credentials = credentials
        self.settings = settings
        self._sources_max = sources_max

    def all(self, merchant: str) -> list[SourceView]:
        """Return the sources of a merchant by name."""
        jobs = {job.number: job for job in self.store.jobs(merchant, SOURCE)}
        resources = self.store.resources(merchant, SOURCE, limit=SOURCES_MAX)
        views = [_view(each, jobs[each.number]) for each in resources if each.number in jobs]
        return sorted(views, key=lambda view: view.name)

    def source(self, merchant: str, name: str) -> SourceView:
        """Return a source."""
        resource = self._find(merchant, name)
        return self._with_job(resource)

    def find(self, merchant: str, number: int) -> SourceView | None:
        """Return a source by the number of its job; None if it was deleted."""
        resource = self.store.resource(merchant, SOURCE, number)
        return None if resource is None else self._with_job(resource)

    def save(self, merchant: str, name: str, change: SourceChange) -> SourceView:
        """Save a source, or replace it. Raises Refusal: source_invalid, sources_full, and those of options."""
        note(subject=name)
        while True:
            resource = next((each for each in self._resources(merchant) if each.name == name), None)
            before = None if resource is None else _decode(resource.body)
            source = self._source(merchant, change, before)
            state = SourceState()
            if resource is not None:
                job = self.store.job(merchant, SOURCE, resource.number)
                state = SourceState() if job is None else decode_state(job)
            body, time = msgspec.json.encode(source), JobTime(source.due_at(state, now()))
            try:
                if resource is None:
                    return self._with_job(self.store.add_resource(
                        merchant, SOURCE, name=name, body=body, resources_max=self._sources_max, job=time
                    ))
                saved = self.store.put_resource(msgspec.structs.replace(resource, body=body), job=time)
                if saved is not None:
                    return self._with_job(saved)
            except NameTakenError:
                continue
            except ResourcesFullError:
                raise Refusal("sources_full", limit=self._sources_max) from None

    def delete(self, merchant: str, name: str) -> None:
        """Delete a source with its history; its batches stay."""
        note(subject=name)
        while True:
            resource = self._find(merchant, name)
            deleted = msgspec.structs.replace(resource, expires_at=now())
            if self.store.put_resource(deleted, job=JobTime(None)) is not None:
                return

    def pause(self, merchant: str, name: str, *, answer: SourceAnswer | None = None) -> SourceView:
        """Fetch nothing by the schedule until the source is resumed; a run in progress goes on."""
        def pause(source: FeedSource) -> FeedSource:
            return msgspec.structs.replace(source, paused_at=source.paused_at or now())

        return self._update(merchant, name, pause, answer=answer)

    def resume(self, merchant: str, name: str, *, answer: SourceAnswer | None = None) -> SourceView:
        """Go on with the schedule; what it would have fetched meanwhile is fetched at its next time."""
        def resume(source: FeedSource) -> FeedSource:
            if source.paused_at is None:
                return source
            return msgspec.structs.replace(source, paused_at=None, scheduled_from=now())

        return self._update(merchant, name, resume, answer=answer)

    def request_run(self, merchant: str, name: str, *, answer: SourceAnswer | None = None) -> SourceView:
        """Let a worker fetch now, even if the source is paused."""
        return self._update(merchant, name, lambda source: source, answer=answer, requested=True)

    def pin_host_key(self, merchant: str, name: str, fingerprint: str) -> SourceView:
        """Pin the key of the SFTP host, if none is pinned."""
        def pin(source: FeedSource) -> FeedSource:
            return msgspec.structs.replace(source, host_key=source.host_key or fingerprint)

        return self._update(merchant, name, pin)

    def runs(self, view: SourceView, *, before: int | None = None, limit: int = 50) -> list[JobRun]:
        """Return runs of a source, the newest first."""
        return self.store.job_runs(view.merchant, SOURCE, view.number, before=before, limit=limit)

    def secrets(self, view: SourceView) -> dict[str, str]:
        """Return the values of the credential. Raises CredentialError, ExtraMissingError."""
        return self.credentials.open(view.merchant, SOURCE, view.source.credential)

    def _source(self, merchant: str, change: SourceChange, before: FeedSource | None) -> FeedSource:
        """Return what a change asks for. Raises Refusal: source_invalid, and those of options."""
        text = change.address.strip()
        if before is not None and text == before.display_address:
            text = before.address
        at = now()
        try:
            address = parse_address(text)
            sealed, host_key = self._kept(merchant, change, address, before)
            fields = {
                name: getattr(change, name) for name in SourceChange.__struct_fields__
                if name not in ("address", "credential", "host_key")
            }
            source = FeedSource(
                **fields, address=address.text, credential=sealed, host_key=host_key, scheduled_from=at,
                created_at=at if before is None else before.created_at,
                paused_at=None if before is None else before.paused_at,
            )
            source.check_times()
            check_address(address, source.access({}), self.settings)
            if source.move_to is not None:
                check_name(move_target(source.move_to, "name"))
                if address.scheme in ("https", "http"):
                    raise RemoteError("Files cannot be moved over HTTP.", final=True)
        except (AddressError, RemoteError, CredentialError, ExtraMissingError) as fault:
            raise Refusal("source_invalid", str(fault)) from fault
        except ValueError as fault:
            raise Refusal("source_invalid", f"The times of the source cannot be used: {fault}.") from fault
        options_policy(self.store, merchant, change.kind, change.options)
        return source

    def _kept(self, merchant: str, change: SourceChange, address: RemoteAddress, before: FeedSource | None,
              ) -> tuple[SealedCredential, str]:
        """Return credential and host key; what is stored stays only with its host, to which it was entrusted."""
        is_same = (
            before is not None and before.endpoint == change.endpoint and _host(before.address) == _host(address.text)
        )
        if change.credential is not None:
            values: dict[str, str] = {str(name): value for name, value in change.credential.items()}
            sealed = self.credentials.seal(merchant, SOURCE, values)
        elif before is not None and (before.credential.sealed or before.credential.variables):
            if not is_same:
                raise CredentialError("The host is another one; give the credential again.")
            sealed = before.credential
        else:
            sealed = SealedCredential()
        if change.host_key is not None:
            return sealed, change.host_key
        return sealed, before.host_key if is_same and before is not None else ""

    def _update(self, merchant: str, name: str, change: Callable[[FeedSource], FeedSource], *,
                answer: SourceAnswer | None = None, requested: bool = False) -> SourceView:
        while True:
            resource = self._find(merchant, name)
            note(subject=name)
            job = self._job(resource)
            source = change(_decode(resource.body))
            state, at = decode_state(job), now()
            time = JobTime(at, requested=True) if requested else JobTime(source.due_at(state, at), job.requested)
            if job.requested and not requested and job.due_at is not None:
                time = JobTime(job.due_at, requested=True)
            changed = msgspec.structs.replace(resource, body=msgspec.json.encode(source))
            saved = self.store.put_resource(changed, job=time, idempotency=_idempotency(answer, job, time))
            if saved is not None:
                return self._with_job(saved)

    def _resources(self, merchant: str) -> list[Resource]:
        return self.store.resources(merchant, SOURCE, limit=SOURCES_MAX)

    def _find(self, merchant: str, name: str) -> Resource:
        found = next((each for each in self._resources(merchant) if each.name == name), None)
        if found is None:
            raise Refusal("source_unknown")
        return found

    def _job(self, resource: Resource) -> Job:
        job = self.store.job(resource.merchant, SOURCE, resource.number)
        if job is None:
            raise Refusal("source_unknown")
        return job

    def _with_job(self, resource: Resource) -> SourceView:
        return _view(resource, self._job(resource))


def move_target(pattern: str, name: str) -> str:
    """Return the path to which a file is moved: ``done/``, or a path in which ``{name}`` stands for its name."""
    path = pattern.replace("{name}", name)
    return f"{path}{name}" if path.endswith("/") else path


def _view(resource: Resource, job: Job) -> SourceView:
    return SourceView(
        merchant=resource.merchant, number=resource.number, name=resource.name, source=_decode(resource.body), job=job,
        state=decode_state(job),
    )


def _idempotency(answer: SourceAnswer | None, job: Job, time: JobTime) -> Idempotency[Resource] | None:
    if answer is None:
        return None
    changed = msgspec.structs.replace(job, due_at=time.due_at, requested=time.requested)
    return answer.key.answered_by(lambda stored: answer.serialize(_view(stored, changed)))


def _host(text: str) -> tuple[str, str, int]:
    address = parse_address(text)
    return address.scheme, address.host, address.port
