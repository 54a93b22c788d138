"""Keys of merchants: created, changed, rotated and revoked."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from goodsgate.auth import bearer_secret, digest_of_secret, key_kind, new_key, new_seed, note_key, public_settings
from goodsgate.engine.idempotency import RequestKey
from goodsgate.engine.secrets import UnknownMasterError
from goodsgate.http.context import ServerContext
from goodsgate.http.endpoints import ApiRequest, Handler, decode_json
from goodsgate.http.problems import refuse
from goodsgate.model.audit import note
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Key, OneLine, Scope
from goodsgate.protocols.native.idempotency import request_key
from goodsgate.protocols.native.merchants import Settings, known_merchant
from goodsgate.protocols.native.responses import JSON, json_response
from goodsgate.store.contract import Idempotency

OVERLAP_SECONDS_MAX = 90 * 86_400
"""Time for which a replaced secret of a key may work."""
Time = Annotated[datetime, Meta(tz=True)]
Scopes = Annotated[list[Scope], Meta(min_length=1, max_length=len(Scope))]


class NewKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/merchants/{merchant}/keys."""

    scopes: Scopes
    label: OneLine = ""
    settings: Settings = {}
    expires_at: Time | None = None


class KeyChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH /v1/merchants/{merchant}/keys/{key}."""

    scopes: Scopes | UnsetType = UNSET
    label: OneLine | UnsetType = UNSET
    expires_at: Time | UnsetType | None = UNSET


class KeyRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/merchants/{merchant}/keys/{key}/rotate."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=OVERLAP_SECONDS_MAX)] = 86_400


class KeyHandlers:
    """Handlers of everything under ``/v1/merchants/{merchant}/keys``."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._store = context.store
        self._known_settings = context.services.known_settings

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers by operation id."""
        return {
            "keys": self.keys, "add_key": self.add_key, "change_key": self.change_key, "rotate_key": self.rotate_key,
            "revoke_key": self.revoke_key,
        }

    async def keys(self, request: ApiRequest) -> Response:
        """Handle GET /v1/merchants/{merchant}/keys."""
        merchant = await known_merchant(self._context, request)
        keys = await self._context.run_in_thread(self._store.keys, merchant)
        return json_response({"keys": [_serialize_key(key) for key in keys]})

    async def add_key(self, request: ApiRequest) -> Response:
        """Handle POST /v1/merchants/{merchant}/keys."""
        content = await request.read_body(self._context)
        add = partial(self._add, request.path["merchant"], content)
        return await self._secret_response(request, content, add, status=201)

    async def change_key(self, request: ApiRequest) -> Response:
        """Handle PATCH /v1/merchants/{merchant}/keys/{key}."""
        content = await request.read_body(self._context)
        changed = await self._context.run_in_thread(
            self._change, request.path["merchant"], request.path["key"], content
        )
        return json_response(_serialize_key(changed))

    async def rotate_key(self, request: ApiRequest) -> Response:
        """Handle POST /v1/merchants/{merchant}/keys/{key}/rotate."""
        content = await request.read_body(self._context)
        rotate = partial(self._rotate, request.path["merchant"], request.path["key"], content)
        return await self._secret_response(request, content, rotate, status=200)

    async def revoke_key(self, request: ApiRequest) -> Response:
        """Handle DELETE /v1/merchants/{merchant}/keys/{key}."""
        merchant = await known_merchant(self._context, request)
        if not await self._context.run_in_thread(self._context.authenticator.revoke, merchant, request.path["key"]):
            raise refuse("credential_unknown")
        return Response(status_code=204)

    # -- secrets ------------------------------------------------------------------------------------------------------

    async def _secret_response(self, request: ApiRequest, content: bytes, act: Callable[..., Key], *,
                               status: int) -> Response:
        """Return a key with its new secret; `act` stores it, from the random bytes that it is given."""
        document = await self._context.run_in_thread(self._with_secret, act, request_key(request, content))
        body = msgspec.json.encode(document)
        return Response(body, status_code=status, headers={"cache-control": "no-store"}, media_type=JSON)

    def _with_secret(self, act: Callable[..., Key], request: RequestKey | None) -> dict[str, Any]:
        if request is None:
            seed = new_seed()
            key = act(seed, None)
            return {**_serialize_key(key), "secret": bearer_secret(key.id, seed)}

        def store() -> bytes:
            seed, master = self._seed(request)

            def answer(key: Key) -> bytes:
                return msgspec.json.encode({**_serialize_key(key), "master": master})

            return answer(act(seed, request.answered_by(answer)))

        document: dict[str, Any] = msgspec.json.decode(self._context.engine.answer_once(request, store))
        try:
            seed, _ = self._seed(request, by=document.pop("master"))
        except UnknownMasterError as fault:
            detail = f"The key {document['id']} was stored, but its secret is lost, because the master secret changed."
            raise refuse("state_conflict", detail, key=document["id"]) from fault
        return {**document, "secret": bearer_secret(document["id"], seed)}

    def _seed(self, request: RequestKey, *, by: str | None = None) -> tuple[bytes, str]:
        """Return the random part of a new secret, so that a repeated request gets it again although it is not stored.

        Whoever has the master secret also needs the idempotency key, which the store soon forgets.
        """
        return self._context.services.secrets.derived("new key", f"{request.merchant} {request.key}", by=by)

    # -- in a thread --------------------------------------------------------------------------------------------------

    def _add(self, merchant: str, content: bytes, seed: bytes, idempotency: Idempotency[Key] | None) -> Key:
        self._require_merchant(merchant)
        wanted: NewKey = decode_json(content, NewKey)
        _check_scopes(wanted.scopes)
        _check_end(wanted.expires_at)
        self._known_settings.check_key(wanted.settings)
        key, _ = new_key(
            merchant, wanted.scopes, label=wanted.label, settings=wanted.settings, seed=seed,
            expires_at=wanted.expires_at,
        )
        note_key(key)
        self._store.add_key(key, idempotency=idempotency)
        return key

    def _change(self, merchant: str, key_id: str, content: bytes) -> Key:
        before = self._find(merchant, key_id)
        changes: KeyChanges = decode_json(content, KeyChanges)
        scopes = before.scopes if isinstance(changes.scopes, UnsetType) else frozenset(_check_scopes(changes.scopes))
        label = before.label if isinstance(changes.label, UnsetType) else changes.label
        end = before.expires_at if isinstance(changes.expires_at, UnsetType) else _check_end(changes.expires_at)
        note_key(msgspec.structs.replace(before, scopes=scopes, label=label, expires_at=end))
        changed = self._store.change_key(merchant, key_id, scopes=scopes, label=label, expires_at=end)
        if changed is None:
            raise refuse("credential_unknown")
        self._context.authenticator.forget()
        return changed

    def _rotate(self, merchant: str, key_id: str, content: bytes, seed: bytes,
                idempotency: Idempotency[Key] | None) -> Key:
        before = self._find(merchant, key_id)
        wanted: KeyRotation = decode_json(content, KeyRotation) if content else KeyRotation()
        if key_kind(before) != "secret":
            detail = f"The key {key_id} has no secret that is sent; add another key, and revoke this one."
            raise refuse("state_conflict", detail, key=key_id)
        note(subject=key_id, overlap_seconds=wanted.overlap_seconds)
        rotated = self._store.rotate_key(
            merchant, key_id, digest_of_secret(bearer_secret(key_id, seed)),
            previous_until=now() + timedelta(seconds=wanted.overlap_seconds), idempotency=idempotency,
        )
        if rotated is None:
            raise refuse("credential_unknown")
        self._context.authenticator.forget()
        return rotated

    def _require_merchant(self, merchant: str) -> None:
        if not self._context.authenticator.merchant_exists(merchant):
            raise refuse("merchant_unknown")

    def _find(self, merchant: str, key_id: str) -> Key:
        """Return a key that is not revoked. Raises merchant_unknown, credential_unknown."""
        self._require_merchant(merchant)
        found = next((key for key in self._store.keys(merchant) if key.id == key_id and key.revoked_at is None), None)
        if found is None:
            raise refuse("credential_unknown")
        return found


def _check_scopes(scopes: list[Scope]) -> list[Scope]:
    if len(set(scopes)) < len(scopes):
        raise refuse("body_invalid", "A scope is named twice.")
    return scopes


def _check_end(expires_at: datetime | None) -> datetime | None:
    if expires_at is not None and expires_at <= now():
        raise refuse("body_invalid", "The key would have expired already: expires_at must be in the future.")
    return expires_at


def _serialize_key(key: Key) -> dict[str, Any]:
    """Return a key without its digests."""
    return {
        "id": key.id, "merchant": key.merchant, "kind": key_kind(key), "scopes": sorted(key.scopes),
        "label": key.label, "settings": public_settings(key), "created_at": key.created_at,
        "revoked_at": key.revoked_at, "expires_at": key.expires_at, "previous_secret_until": key.previous_until,
        "used_on": key.used_on,
    }
