"""The shipments of a store: read, changed by compare-and-swap, and brought up to date by every request.

No clock is needed. An event that occurs by itself is stored in the shipment with its time (``due``), and so are stock
changes that are still to be made (``stock_changes``). Both are done before a shipment is read, listed or changed. A
message in the outbox does so when the time has come, so that webhooks are sent even if nobody reads the shipment.
"""

import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.protocols.konnect.orders.events import ShipmentMessages
from goodsgate.protocols.konnect.orders.shipment import (
    DUE_LABEL,
    RESOURCE_TYPE,
    Shipment,
    resource_number,
    to_microseconds,
)
from goodsgate.protocols.konnect.orders.states import FINAL_STATES, TransitionRefusal
from goodsgate.protocols.konnect.orders.stock_sync import StockSync
from goodsgate.protocols.konnect.orders.transitions import RETURN, TransitionError, apply_event, create_return
from goodsgate.protocols.konnect.unpublished import SHIPMENTS_OPEN_MAX
from goodsgate.store.contract import NameTakenError, ResourcesFullError, Store, StoreBusyError

DUE_SHIPMENTS_MAX = 100
"""Shipments brought up to date before a list is read; the next request continues with the rest."""
ATTEMPTS_MAX = 1_000
"""Attempts of one change; each failed one means that another request's change succeeded."""

Change = Callable[[Shipment], Shipment]
replace = msgspec.structs.replace
_decode = msgspec.json.Decoder(Shipment).decode
_encode = msgspec.json.encode


class UnknownShipmentError(LookupError):
    """The merchant has no such shipment."""


class DuplicateOrderError(Exception):
    """An order of this name exists."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id


class StoredShipment(msgspec.Struct, frozen=True):
    """A shipment with the version of its resource."""

    resource: Resource
    shipment: Shipment


class ShipmentRepository:
    """Reads and changes shipments; for any number of threads and processes."""

    def __init__(self, store: Store, stock: StockSync, *, retention_days: float) -> None:
        self._store = store
        self._stock = stock
        self._messages = ShipmentMessages(store)
        self._retention = timedelta(days=retention_days)

    # -- reading ----------------------------------------------------------------------------------------------------
    def find(self, merchant: str, id: str) -> Shipment:
        """Return a shipment, up to date; raise UnknownShipmentError."""
        return self._load(merchant, id).shipment

    def list_by_label(self, merchant: str, label: str, *, since: datetime | None = None, until: datetime | None = None,
                      offset: int = 0, limit: int = 100) -> list[Shipment]:
        """Return the shipments with a label by the time of their placement, `until` included."""
        self.apply_due_events(merchant)
        rows = self._store.list_by_label(
            merchant, RESOURCE_TYPE, label, since=None if since is None else to_microseconds(since),
            until=None if until is None else to_microseconds(until), offset=offset, limit=limit,
        )
        return [_decode_shipment(row) for row in rows]

    def _list_returns(self, merchant: str, id: str) -> list[Shipment]:
        """Return the returns of a shipment, including those that are still being placed."""
        rows = self._store.list_by_label(merchant, RESOURCE_TYPE, f"of/{id}", limit=1_000)
        return [_decode_shipment(row) for row in rows]

    # -- changing ---------------------------------------------------------------------------------------------------
    def update(self, merchant: str, id: str, change: Change) -> Shipment:
        """Save what `change` returns; call it again with the new version if another request was faster.

        Raises UnknownShipmentError and what `change` raises; then nothing is saved.
        """
        for _ in range(ATTEMPTS_MAX):
            stored = self._load(merchant, id)
            changed = change(stored.shipment)
            if changed is stored.shipment:
                return changed
            saved = self._save(stored.resource, stored.shipment, changed)
            if saved is not None:
                # The change is saved; the next request does what is left of its stock and due events.
                with contextlib.suppress(StoreBusyError):
                    return self._catch_up(saved.resource).shipment
                return saved.shipment
        raise StoreBusyError("too many requests change one shipment")

    def place(self, merchant: str, shipment: Shipment) -> Shipment:
        """Place an order; its stock is reserved before the shipment becomes visible.

        Raises DuplicateOrderError, ResourcesFullError and the refusals of the stock.
        """
        return self._complete_placement(self._add(merchant, shipment.order, shipment))

    def begin_return(self, merchant: str, id: str, pieces: Mapping[str, int]) -> Shipment:
        """Begin the return of pieces of a delivered shipment (``orderItemId`` → number; empty: all that are left).

        Raises UnknownShipmentError, ResourcesFullError, TransitionError if the shipment is not delivered, and
        ValueError if fewer pieces are left.
        """
        for _ in range(ATTEMPTS_MAX):
            shipment = self.find(merchant, id)
            if shipment.state != "delivery_done":
                raise TransitionError(shipment, RETURN, TransitionRefusal.EARLY)
            earlier = self._list_returns(merchant, id)
            left = {line.id: line.open - sum(_open_pieces(one, line.id) for one in earlier) for line in shipment.lines}
            wanted = pieces or left
            short = [line for line, number in wanted.items() if not 0 <= number <= left.get(line, 0)]
            if short or not any(wanted.values()):
                raise ValueError(f"{', '.join(short) or id} has fewer pieces left to return")
            new = create_return(shipment, wanted, at=now())
            try:
                return self._complete_placement(self._add(merchant, f"{shipment.order}/{id}/{len(earlier) + 1}", new))
            except DuplicateOrderError:
                continue  # another request began a return of the same shipment: count what is left again
        raise StoreBusyError("too many requests return one shipment")

    def _add(self, merchant: str, name: str, shipment: Shipment) -> Resource:
        try:
            return self._store.add_resource(
                merchant, RESOURCE_TYPE, name=name, body=_encode(shipment), resources_max=SHIPMENTS_OPEN_MAX,
                labels=shipment.labels(),
            )
        except NameTakenError as taken:
            resource = self._store.resource(merchant, RESOURCE_TYPE, taken.number)
            if resource is not None and not _decode_shipment(resource).history:
                self._resume_placement(resource)
            raise DuplicateOrderError("" if resource is None else _decode_shipment(resource).id) from taken

    def _complete_placement(self, resource: Resource) -> Shipment:
        """Reserve the stock and make the shipment visible; delete it if the stock refuses."""
        shipment = _decode_shipment(resource)
        try:
            if not shipment.forward:
                self._stock.reserve(resource.merchant, shipment)
        except Refusal:
            self._store.put_resource(replace(resource, expires_at=now()), labels=[])
            raise
        placed = apply_event(shipment, f"external/{shipment.first_state}", at=shipment.placed_at)
        saved = self._save(resource, shipment, placed)
        return saved.shipment if saved is not None else self.find(resource.merchant, shipment.id)

    def _resume_placement(self, resource: Resource) -> None:
        """Complete a placement that was interrupted."""
        with contextlib.suppress(Refusal):
            self._complete_placement(resource)

    # -- time and stock ---------------------------------------------------------------------------------------------
    def apply_due_events(self, merchant: str) -> None:
        """Apply what is due, of a bounded number of shipments."""
        until = to_microseconds(now())
        for row in self._store.list_by_label(merchant, RESOURCE_TYPE, DUE_LABEL, until=until, limit=DUE_SHIPMENTS_MAX):
            self._catch_up(row)

    def apply_due_event(self, merchant: str, id: str) -> None:
        """Apply what is due of one shipment, if it still exists."""
        with contextlib.suppress(UnknownShipmentError):
            self._load(merchant, id)

    def _load(self, merchant: str, id: str) -> StoredShipment:
        number = resource_number(id)
        resource = self._store.resource(merchant, RESOURCE_TYPE, number) if number is not None else None
        if resource is None or _decode_shipment(resource).id != id:
            raise UnknownShipmentError(id)
        stored = self._catch_up(resource)
        if not stored.shipment.history:
            raise UnknownShipmentError(id)
        return stored

    def _catch_up(self, resource: Resource) -> StoredShipment:
        """Apply what is due; if another request did so meanwhile, return its version."""
        stored = StoredShipment(resource, _decode_shipment(resource))
        if not stored.shipment.history:
            if any(label == DUE_LABEL and at <= to_microseconds(now()) for label, at in stored.shipment.labels()):
                self._resume_placement(resource)
            return stored
        stored = self._change_stock(stored)
        while stored.shipment.due is not None and stored.shipment.due.at <= now():
            changed = self._after_due_event(resource.merchant, stored.shipment)
            saved = self._save(stored.resource, stored.shipment, changed)
            if saved is None:
                current = self._store.resource(resource.merchant, resource.type, resource.number)
                return stored if current is None else self._catch_up(current)
            stored = self._change_stock(saved)
        return stored

    def _after_due_event(self, merchant: str, shipment: Shipment) -> Shipment:
        """Return the shipment after its due event; an event that its state no longer allows is dropped."""
        assert shipment.due is not None
        without_due = replace(shipment, due=None)
        if shipment.due.event == RETURN:
            pieces = {line.id: line.open for line in shipment.lines}
            # A duplicate means that an interrupted attempt has begun the return already.
            with contextlib.suppress(DuplicateOrderError, ResourcesFullError):
                new = create_return(shipment, pieces, at=shipment.due.at)
                self._complete_placement(self._add(merchant, f"{shipment.order}/{shipment.id}/1", new))
            return without_due
        try:
            return apply_event(without_due, shipment.due.event, at=shipment.due.at)
        except TransitionError:
            return without_due

    def _change_stock(self, stored: StoredShipment) -> StoredShipment:
        """Make the pending stock changes, then remove them; a repetition after a crash has no effect."""
        shipment = stored.shipment
        if not shipment.stock_changes:
            return stored
        for change in shipment.stock_changes:
            self._stock.apply(stored.resource.merchant, shipment, change)
        changed = replace(shipment, stock_changes=())
        return self._save(stored.resource, shipment, changed) or StoredShipment(stored.resource, changed)

    def _save(self, resource: Resource, before: Shipment, shipment: Shipment) -> StoredShipment | None:
        """Save a shipment with the messages about it; None if another request has changed it meanwhile."""
        ended = shipment.state in FINAL_STATES and not (shipment.due or shipment.stock_changes)
        expires_at = now() + self._retention if ended else None
        saved = self._store.put_resource(
            replace(resource, body=_encode(shipment), expires_at=expires_at), labels=shipment.labels(),
            messages=self._messages.about(resource.merchant, before, shipment),
        )
        return None if saved is None else StoredShipment(saved, shipment)


def _decode_shipment(resource: Resource) -> Shipment:
    return replace(_decode(resource.body), number=resource.number)


def _open_pieces(shipment: Shipment, line_id: str) -> int:
    line = shipment.line(line_id)
    return line.open if line is not None else 0
