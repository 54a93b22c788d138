"""The shipments of a store: read, changed by compare-and-swap, brought up to date by whoever comes by.

Time does not need a clock of its own. What is to happen by itself is kept in the shipment with its moment (``due``),
and so is stock that is still to be moved (``moves``); both are done before a shipment is read, listed or changed, and
by a message of the outbox that is carried when the moment has come, so that webhooks go out although nobody asks.
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

DUE_AT_ONCE = 100
"""Shipments brought up to date before a list is read; what is still behind is so for the next."""
ATTEMPTS_MAX = 1_000
"""Of a change: each that fails is somebody else's that did not."""

Change = Callable[[Shipment], Shipment]
_decode = msgspec.json.Decoder(Shipment).decode
_encode = msgspec.json.encode


class UnknownShipmentError(LookupError):
    """The merchant has no such shipment."""


class DuplicateOrderError(Exception):
    """An order of this name was placed before."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id


class ShipmentRepository:
    """For any number of threads and processes."""

    def __init__(self, store: Store, stock: StockSync, *, retention_days: float) -> None:
        self._store = store
        self._stock = stock
        self._events = ShipmentMessages(store)
        self._retention = timedelta(days=retention_days)

    # -- reading ----------------------------------------------------------------------------------------------------
    def find(self, merchant: str, id: str) -> Shipment:
        """As it now is; raises ShipmentUnknown."""
        return self._current(merchant, id)[1]

    def listed(self, merchant: str, word: str, *, since: datetime | None = None, until: datetime | None = None,
               offset: int = 0, limit: int = 100) -> list[Shipment]:
        """Under a word, by the moment of their placing, `until` included."""
        self.apply_due_events(merchant)
        rows = self._store.list_by_label(
            merchant, RESOURCE_TYPE, word, since=None if since is None else to_microseconds(since),
            until=None if until is None else to_microseconds(until), offset=offset, limit=limit,
        )
        return [_opened(row) for row in rows]

    def list_returns(self, merchant: str, id: str) -> list[Shipment]:
        """What comes, or came, back of a shipment; what is about to, too."""
        return self._under(merchant, f"of/{id}")

    def _under(self, merchant: str, word: str) -> list[Shipment]:
        return [_opened(row) for row in self._store.list_by_label(merchant, RESOURCE_TYPE, word, limit=1_000)]

    # -- changing ---------------------------------------------------------------------------------------------------
    def change(self, merchant: str, id: str, change: Change) -> Shipment:
        """Keep what `change` makes of it, whatever others do meanwhile; it is called again if they were faster.

        Raises ShipmentUnknown, and what `change` raises: then nothing is kept.
        """
        for _ in range(ATTEMPTS_MAX):
            resource, shipment = self._current(merchant, id)
            changed = change(shipment)
            if changed is shipment:
                return shipment
            kept = self._keep(resource, shipment, changed)
            if kept is not None:
                # it is done; what goes with it, the next one does who comes by
                with contextlib.suppress(StoreBusyError):
                    return self._brought(kept[0])[1]
                return kept[1]
        raise StoreBusyError("a shipment that too many change at once")

    def place(self, merchant: str, shipment: Shipment) -> Shipment:
        """Take an order in, or begin a return; its stock is reserved before anybody sees it.

        Raises OrderPlaced, and the refusals of the stock.
        """
        name = f"{shipment.order}/{shipment.forward}" if shipment.forward else shipment.order
        return self._begin(self._add(merchant, name, shipment))

    def _add(self, merchant: str, name: str, shipment: Shipment) -> Resource:
        try:
            return self._store.add_resource(
                merchant, RESOURCE_TYPE, name=name, body=_encode(shipment), resources_max=SHIPMENTS_OPEN_MAX,
                labels=shipment.labels(),
            )
        except NameTakenError as taken:
            resource = self._store.resource(merchant, RESOURCE_TYPE, taken.number)
            if resource is not None and not _opened(resource).history:
                self._finish(resource)
            raise DuplicateOrderError("" if resource is None else _opened(resource).id) from taken

    def _begin(self, resource: Resource) -> Shipment:
        """Reserve, and show; what cannot be reserved is forgotten."""
        shipment = _opened(resource)
        try:
            if not shipment.forward:
                self._stock.reserve(resource.merchant, shipment)
        except Refusal:
            self._store.put_resource(msgspec.structs.replace(resource, expires_at=now()), labels=[])
            raise
        begun = apply_event(shipment, f"external/{shipment.first_state}", at=shipment.placed_at)
        kept = self._keep(resource, shipment, begun)
        return kept[1] if kept is not None else self.find(resource.merchant, shipment.id)

    def begin_return(self, merchant: str, id: str, pieces: Mapping[str, int]) -> Shipment:
        """Begin the return of pieces of a delivered shipment (``orderItemId`` → how many; empty: all that are left).

        Raises ShipmentUnknown, NotNow where it was not delivered, and ValueError where there is not so much.
        """
        for _ in range(ATTEMPTS_MAX):
            shipment = self.find(merchant, id)
            if shipment.state != "delivery_done":
                raise TransitionError(shipment, RETURN, TransitionRefusal.EARLY)
            earlier = self.list_returns(merchant, id)
            left = {line.id: line.open - sum(_pieces(one, line.id) for one in earlier) for line in shipment.lines}
            wanted = pieces or left
            short = [line for line, most in wanted.items() if not 0 <= most <= left.get(line, 0)]
            if short or not any(wanted.values()):
                raise ValueError(f"of {', '.join(short) or id} so much is not left to come back")
            back = create_return(shipment, wanted, at=now())
            try:
                return self._begin(self._add(merchant, f"{shipment.order}/{id}/{len(earlier) + 1}", back))
            except DuplicateOrderError:
                continue  # somebody else's return of the same shipment: what is left is counted again
        raise StoreBusyError("a shipment that too many send back at once")

    # -- time and stock ---------------------------------------------------------------------------------------------
    def apply_due_events(self, merchant: str) -> None:
        """Let happen what is due, of as many shipments as may be done at once."""
        until = to_microseconds(now())
        for row in self._store.list_by_label(merchant, RESOURCE_TYPE, DUE_LABEL, until=until, limit=DUE_AT_ONCE):
            self._brought(row)

    def apply_due_event(self, merchant: str, id: str) -> datetime | None:
        """The same of one shipment; when something is due of it next."""
        try:
            due = self.find(merchant, id).due
        except UnknownShipmentError:
            return None
        return due.at if due is not None else None

    def _current(self, merchant: str, id: str) -> tuple[Resource, Shipment]:
        number = resource_number(id)
        resource = self._store.resource(merchant, RESOURCE_TYPE, number) if number is not None else None
        if resource is None or _opened(resource).id != id:
            raise UnknownShipmentError(id)
        resource, shipment = self._brought(resource)
        if not shipment.history:
            raise UnknownShipmentError(id)
        return resource, shipment

    def _brought(self, resource: Resource) -> tuple[Resource, Shipment]:
        """What is due of it is done; if somebody else did it meanwhile, that is as good."""
        shipment = _opened(resource)
        if not shipment.history:
            if any(word == DUE_LABEL and place <= to_microseconds(now()) for word, place in shipment.labels()):
                self._finish(resource)
            return resource, shipment
        if shipment.moves:
            resource, shipment = self._moved(resource, shipment)
        while shipment.due is not None and shipment.due.at <= now():
            kept = self._keep(resource, shipment, self._happened(resource.merchant, shipment))
            if kept is None:
                found = self._store.resource(resource.merchant, resource.type, resource.number)
                return (resource, shipment) if found is None else self._brought(found)
            resource, shipment = self._moved(*kept)
        return resource, shipment

    def _finish(self, resource: Resource) -> None:
        """What somebody began to place, and left."""
        with contextlib.suppress(Refusal):
            self._begin(resource)

    def _happened(self, merchant: str, shipment: Shipment) -> Shipment:
        """It with what is due done; what its state does not allow any more is dropped."""
        assert shipment.due is not None
        waiting = msgspec.structs.replace(shipment, due=None)
        if shipment.due.event == RETURN:
            everything = {line.id: line.open for line in shipment.lines}
            with contextlib.suppress(DuplicateOrderError, ResourcesFullError):  # done before, or cannot be done
                back = create_return(shipment, everything, at=shipment.due.at)
                self._begin(self._add(merchant, f"{shipment.order}/{shipment.id}/1", back))
            return waiting
        try:
            return apply_event(waiting, shipment.due.event, at=shipment.due.at)
        except TransitionError:
            return waiting

    def _moved(self, resource: Resource, shipment: Shipment) -> tuple[Resource, Shipment]:
        """Stock is moved for what has happened, then the shipment says so; a second time it is as if only once."""
        if not shipment.moves:
            return resource, shipment
        for movement in shipment.moves:
            self._stock.move(resource.merchant, shipment, movement)
        rest = msgspec.structs.replace(shipment, moves=())
        return self._keep(resource, shipment, rest) or (resource, rest)

    def _keep(self, resource: Resource, before: Shipment, shipment: Shipment) -> tuple[Resource, Shipment] | None:
        """Write it, with what is to be told of it; None if somebody else changed it meanwhile."""
        ended = shipment.state in FINAL_STATES and not (shipment.due or shipment.moves)
        ends_at = now() + self._retention if ended else None
        kept = self._store.put_resource(
            msgspec.structs.replace(resource, body=_encode(shipment), expires_at=ends_at), labels=shipment.labels(),
            messages=self._events.of(resource.merchant, before, shipment),
        )
        return None if kept is None else (kept, shipment)


def _opened(resource: Resource) -> Shipment:
    return msgspec.structs.replace(_decode(resource.body), number=resource.number)


def _pieces(shipment: Shipment, line: str) -> int:
    found = shipment.line(line)
    return found.open if found is not None else 0
