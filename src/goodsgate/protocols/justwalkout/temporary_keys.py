"""Temporary access keys, as a client gets them by assuming a role.

Nothing of them is stored. The session token says whose key it stands for and when it ends; the token's signature and
the key's secret are derived from a master secret. Revoking the owner's access key ends its temporary keys, too.
"""

import base64
import binascii
import hmac
import secrets
from datetime import UTC, datetime, timedelta

import msgspec

from goodsgate.auth import AccessKey
from goodsgate.engine.secrets import Secrets, UnknownMasterError
from goodsgate.protocols.justwalkout.sigv4 import EXPIRED, EXPIRED_TEXT, UNKNOWN, UNKNOWN_TEXT, SignatureError

PREFIX = "ASGG"
"""Ids of temporary access keys begin with it."""
TOKEN_PURPOSE, SECRET_PURPOSE = "temporary session", "temporary access key"


class TemporaryKey(msgspec.Struct, frozen=True, kw_only=True):
    """An access key that stands for another one until it expires."""

    owner: str
    """Id of the access key it stands for."""
    expires_at: datetime
    key: AccessKey


def new_temporary_key(owner: str, secrets_of: Secrets, *, seconds: int, now: datetime) -> TemporaryKey:
    """Create a temporary key of an access key. Raises StoreError if the master secret is in the store."""
    id = f"{PREFIX}{base64.b32encode(secrets.token_bytes(10)).decode()}"
    expires_at = (now + timedelta(seconds=seconds)).replace(microsecond=0)
    content = f"{owner}/{id}/{int(expires_at.timestamp())}"
    signature, master = secrets_of.derived(TOKEN_PURPOSE, content)
    token = base64.b64encode(f"{master}/{content}/{signature.hex()}".encode()).decode()
    key = AccessKey(id=id, secret=_secret(content, secrets_of, master), token=token)
    return TemporaryKey(owner=owner, expires_at=expires_at, key=key)


def read_temporary_key(id: str, token: str | None, secrets_of: Secrets, *, now: datetime) -> TemporaryKey:
    """Return the temporary key that a session token was issued for. Raises SignatureError, and StoreError as above."""
    try:
        master, owner, token_id, end, signature = base64.b64decode(token or "", validate=True).decode().split("/")
        content = f"{owner}/{token_id}/{end}"
        expected, _ = secrets_of.derived(TOKEN_PURPOSE, content, by=master)
        secret = _secret(content, secrets_of, master)
    except (AssertionError, ValueError, binascii.Error, UnknownMasterError) as fault:
        raise SignatureError(UNKNOWN, UNKNOWN_TEXT) from fault
    if token_id != id or not hmac.compare_digest(expected.hex().encode(), signature.encode()):
        raise SignatureError(UNKNOWN, UNKNOWN_TEXT)
    expires_at = datetime.fromtimestamp(int(end), UTC)
    if now >= expires_at:
        raise SignatureError(EXPIRED, EXPIRED_TEXT)
    return TemporaryKey(owner=owner, expires_at=expires_at, key=AccessKey(id=id, secret=secret, token=token))


def _secret(content: str, secrets_of: Secrets, master: str) -> str:
    return base64.b64encode(secrets_of.derived(SECRET_PURPOSE, content, by=master)[0][:30]).decode()
