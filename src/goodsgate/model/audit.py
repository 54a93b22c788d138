"""The audit log: who did what, in chains of entries of which each one seals those before it.

There is one chain for each merchant, and one for the installation. The hash of an entry covers the hash of the entry
before it, so that nobody can change, remove or insert an entry without changing every later hash.

Who acts is known where a request arrives, and what is stored is decided far below. Between the two the act is ambient:
`ACT` holds it, and the store adds its entry in the transaction that changes something.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

TEXT_CHARACTERS_MAX = 200
"""Of a subject and of each value of a detail."""
DETAILS_MAX = 20
TRIM = "audit.trim"
"""Action of the entry that says which older entries the retention has removed: the anchor of those that remain."""
GATE = "gate"
"""Actor of what the gate does by itself."""
ACTIONS: Mapping[str, str] = {
    "merchant.add": "A merchant was added.",
    "merchant.change": "The name or the settings of a merchant were changed.",
    "key.add": "A key was created.",
    "key.change": "The label, the scopes or the end of a key were changed.",
    "key.rotate": "A key got a new secret.",
    "key.revoke": "A key was revoked.",
    "sign_in.accept": "Somebody signed in to the console.",
    "sign_in.refuse": "Somebody was refused who wanted to sign in to the console.",
    "sign_in.end": "Somebody signed out of the console.",
    "batch.confirm": "The withheld deletions of a full feed were confirmed.",
    "batch.approve": "A batch that guards held was approved.",
    "batch.discard": "A batch that guards held was discarded.",
    "batch.cancel": "A batch was cancelled.",
    "batch.revert": "What a batch had changed was taken back.",
    "batch.retry": "Rejected records were processed again.",
    "batch.accept": "Suggestions were applied to rejected records.",
    "item.edit": "Fields of an item were edited, and locked.",
    "item.unlock": "Fields of an item were unlocked.",
    "reference.load": "Reference data was loaded.",
    "profile.put": "A profile was saved.",
    "profile.delete": "A profile was deleted.",
    "rule.put": "A rule was saved.",
    "rule.delete": "A rule was deleted.",
    "guard.put": "A guard was saved.",
    "guard.delete": "A guard was deleted.",
    "source.put": "A source was saved.",
    "source.delete": "A source was deleted.",
    "source.pause": "A source was paused.",
    "source.resume": "A source was resumed.",
    "source.run": "Somebody let a source fetch.",
    "source.test": "A test of a source has pinned the key of its host.",
    "destination.put": "A destination was saved.",
    "destination.delete": "A destination was deleted.",
    "destination.pause": "A destination was paused.",
    "destination.resume": "A destination was resumed.",
    "destination.run": "Somebody let a feed be written.",
    "destination.approve": "A held feed was approved.",
    "destination.discard": "A held feed was discarded.",
    "destination.test": "A destination was tested, which pins the key of its host.",
    "webhook.add": "A webhook was added.",
    "webhook.change": "A webhook was changed.",
    "webhook.delete": "A webhook was deleted.",
    "webhook.pause": "A webhook was paused.",
    "webhook.resume": "A webhook was resumed.",
    "webhook.rotate": "A webhook got a new secret.",
    "webhook.replay": "Messages of a webhook were sent again.",
    "trouble.order": "Failures were ordered for tests of clients.",
    "trouble.clear": "Ordered failures were cleared.",
    TRIM: "The retention removed older entries.",
}
"""Each action of the log, and what it means."""
ACTIONS_OF_INSTALLATION = frozenset({"merchant.add", "sign_in.refuse", "trouble.order", "trouble.clear"})
"""Actions whose entries belong to no merchant."""
INSTALLATION = ""
"""Name of the chain that belongs to no merchant."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder(order="sorted").encode


class Act(msgspec.Struct, kw_only=True):
    """What somebody does; one entry of the log if it has an effect."""

    action: str
    """Noun and verb: ``key.add``."""
    actor: str
    """``key:ID``, ``person:NAME (key ID)``, ``command:USER``, ``nobody`` or ``gate``."""
    subject: str = ""
    """What it is done to, for example the id of a key."""
    address: str = ""
    """Address of the client."""
    request: str = ""
    """Id of the request."""
    detail: dict[str, str] = {}
    """Further facts; never a secret."""
    of_installation: bool = False
    """Whether it belongs to the chain of the installation."""
    recorded: bool = False
    """Whether the entry is stored, or another request has stored it."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a chain."""

    chain: str
    """The merchant, or `INSTALLATION`."""
    number: int
    """From 1, without gaps."""
    at: datetime
    action: str
    subject: str
    actor: str
    address: str
    request: str
    detail: dict[str, str]
    hash: bytes
    """SHA-256; see `entry_hash`."""


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are wanted; None: all."""

    action: str | None = None
    """An action, or its first word: ``key`` finds ``key.add``."""
    actor: str | None = None
    """Beginning of the actor."""
    since: datetime | None = None
    until: datetime | None = None
    """Before this time."""


ACT: ContextVar[Act | None] = ContextVar("act", default=None)
"""What the request or command in progress does; None for what the log does not contain."""


@contextmanager
def acting(act: Act) -> Iterator[Act]:
    """Make the act that of this context."""
    token = ACT.set(act)
    try:
        yield act
    finally:
        ACT.reset(token)


def note(*, subject: str | None = None, **detail: object) -> None:
    """Add facts to the act of this context, if there is one; never a secret."""
    act = ACT.get()
    if act is None:
        return
    if subject is not None:
        act.subject = subject[:TEXT_CHARACTERS_MAX]
    act.detail = {**act.detail, **{name: str(fact)[:TEXT_CHARACTERS_MAX] for name, fact in detail.items()}}


def rename_act(action: str) -> None:
    """Say what the act of this context is, if there is one: a form with several buttons knows it late."""
    act = ACT.get()
    if act is not None:
        act.action = action


def mark_recorded() -> None:
    """Say that an earlier request has stored the entry of this context's act."""
    act = ACT.get()
    if act is not None:
        act.recorded = True


def entry_hash(previous: bytes, entry: AuditEntry) -> bytes:
    """Return the hash of an entry: the SHA-256 of the previous hash (nothing for the first one) and a JSON array.

    The array has no white space, and holds the chain (a merchant or nothing), the number, the time in microseconds
    since 1970, the action, subject, actor, address and request, and the detail with its members in order.
    """
    return hashlib.sha256(previous + _encode((
        entry.chain, entry.number, (entry.at - _EPOCH) // timedelta(microseconds=1), entry.action, entry.subject,
        entry.actor, entry.address, entry.request, entry.detail,
    ))).digest()


class ChainError(Exception):
    """A chain that does not hold; the message names the first broken entry."""

    def __init__(self, message: str, *, number: int) -> None:
        super().__init__(message)
        self.number = number


class ChainEnd(msgspec.Struct, frozen=True):
    """The last entry of a chain that holds."""

    chain: str
    entries: int
    """Entries that were checked."""
    number: int
    """0: the chain is empty."""
    hash: bytes


def verify_chain(entries: Iterable[AuditEntry], heads: Mapping[int, bytes] | None = None) -> ChainEnd:
    """Compute every hash of a chain again and return its end. Raises ChainError for the first broken entry.

    A chain whose first entries the retention removed begins at the entry to which its latest anchor points. `heads` are
    numbers and hashes of entries that the chain must contain, from earlier verifications.
    """
    first: AuditEntry | None = None
    fault: ChainError | None = None
    anchor: tuple[int, bytes] = (0, b"")
    count, chain, number, previous = 0, INSTALLATION, 0, b""
    missing = dict(heads or {})
    for entry in entries:
        count += 1
        if first is None:
            first, chain = entry, entry.chain  # checked in the end: the anchor comes later
        elif fault is None:
            fault = _fault(chain, number, previous, entry)
        number, previous = entry.number, entry.hash
        anchor = _anchor(entry) or anchor
        if missing.get(number) == entry.hash:
            del missing[number]
    if first is not None:
        fault = _fault(chain, *anchor, first) or fault
    if fault is not None:
        raise fault
    if missing.get(anchor[0]) == anchor[1]:
        del missing[anchor[0]]
    if missing:
        raise ChainError(f"entry {min(missing)} is not the one that it was", number=min(missing))
    return ChainEnd(chain, count, number, previous)


def _fault(chain: str, number: int, hash: bytes, entry: AuditEntry) -> ChainError | None:
    """Return what is wrong with an entry behind the one with this number and hash."""
    if entry.chain != chain:
        return ChainError(f"entry {entry.number} is one of another chain, {entry.chain!r}", number=entry.number)
    if entry.number != number + 1:
        return ChainError(f"entry {number + 1} is missing: {entry.number} follows {number}", number=number + 1)
    if entry_hash(hash, entry) != entry.hash:
        return ChainError(f"entry {entry.number} was changed: its hash does not match", number=entry.number)
    return None


def _anchor(entry: AuditEntry) -> tuple[int, bytes] | None:
    """Return number and hash of the last entry that the retention removed, from the entry that says so."""
    if entry.action != TRIM or entry.actor != GATE:
        return None
    with suppress(KeyError, ValueError):
        return int(entry.detail["through"]), bytes.fromhex(entry.detail["hash"])
    return None


def audit_document(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry as people and programs read it, from which its hash can be computed again."""
    return {
        "chain": entry.chain, "number": entry.number, "at": entry.at, "action": entry.action, "subject": entry.subject,
        "actor": entry.actor, "address": entry.address, "request": entry.request, "detail": entry.detail,
        "hash": entry.hash.hex(),
    }


def read_audit_document(document: dict[str, Any]) -> AuditEntry:
    """Return the entry of a document. Raises msgspec.ValidationError or ValueError."""
    return msgspec.convert({**document, "hash": bytes.fromhex(str(document.get("hash")))}, AuditEntry, strict=False)
