"""Stock that orders change, beside the feeds that set it: reserve, cancel, commit, refund.

The quantity is in the item's document, where a feed sets it. What orders have reserved of it is stored beside the item,
so that no feed changes it; the difference is available. A movement takes place completely or not at all, and a repeated
movement gets the same answer as before.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from goodsgate.engine.document_merge import decode
from goodsgate.engine.field_merge import merge
from goodsgate.engine.refusal import Refusal
from goodsgate.model.catalogue import digest_of, display_key, item_digest
from goodsgate.model.field_state import locks_in
from goodsgate.rules.quantities import whole_value
from goodsgate.store.contract import StockChange, StockLevels, Store

FIELD = "quantity"
"""Member with the quantity in the gate's own stock documents."""
LINES_MAX = 1_000
QUANTITY_MAX = 10**9
MOVEMENTS_MAX = 1_000
"""Movements of one order: each is stored, so that a repeated one gets the same answer."""


class StockOperation(StrEnum):
    """What a movement does with the quantity of each of its lines.

    ``reserve`` reserves it for the order; ``cancel`` releases what is reserved; ``commit`` takes what is reserved from
    stock; ``refund`` returns what was committed to stock.
    """

    RESERVE = "reserve"
    CANCEL = "cancel"
    COMMIT = "commit"
    REFUND = "refund"


class StockMovement(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of one order."""

    order: str
    verb: StockOperation
    lines: dict[str, int]
    """Item key → quantity, 1 to QUANTITY_MAX; at most LINES_MAX."""
    id: str | None = None
    """Distinguishes movements of an order. Without it, movements with the same operation and lines are the same one,
    and the same lines cannot be reserved again after they were released."""
    field: str = FIELD
    """Path of members, separated by slashes, to the quantity in the item's document."""


class StockLevel(msgspec.Struct, frozen=True):
    """Stock of an item."""

    stock: int | None
    """None if there is no such item, or if it has no quantity."""
    reserved: int
    """By all orders."""

    @property
    def available(self) -> int:
        """Return what can be reserved; never less than 0, though a feed may set less than is reserved."""
        return max(0, (self.stock or 0) - self.reserved)


class ReservedLine(msgspec.Struct, omit_defaults=True):
    """What an order has reserved and committed of one item."""

    reserved: int = 0
    committed: int = 0
    """Without what was refunded."""


class CompletedMovement(msgspec.Struct, frozen=True):
    """A movement that took place, with its answer."""

    verb: StockOperation
    lines: dict[str, int]
    levels: dict[str, StockLevel]


class OrderState(msgspec.Struct):
    """What is stored of an order."""

    lines: dict[str, ReservedLine] = {}
    completed: dict[str, CompletedMovement] = {}


decode_order_state = msgspec.json.Decoder(OrderState).decode


class Stock:
    """Reads and changes the stock of a collection; for any number of threads and processes at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def move(self, merchant: str, collection: str, movement: StockMovement) -> dict[str, StockLevel]:
        """Carry out a movement and return the stock of its items, by key.

        Raises Refusal: stock_unknown, stock_conflict (more than the order has reserved or committed, or the id of
        another movement), stock_short, each with `lines`; parameter_invalid. Raises StoreBusyError, StoreFullError.
        """
        _check_movement(movement)
        levels_after: dict[str, StockLevel] = {}

        def change(stock: StockLevels) -> StockChange:
            state = decode_order_state(stock.order_state) if stock.order_state is not None else OrderState()
            change_of_stock, levels = _apply_movement(movement, stock, state)
            levels_after.update(levels)
            return change_of_stock

        self._store.change_stock(merchant, collection, order=movement.order, keys=[*movement.lines], change=change)
        return levels_after

    def levels(self, merchant: str, collection: str, keys: Sequence[str], *, field: str = FIELD,
               ) -> dict[str, StockLevel]:
        """Return the stock of the items of these keys, at one moment; every key is in the answer."""
        stock = self._store.stock_levels(merchant, collection, keys)
        return {key: _level_of(stock, key, field) for key in keys}


def _apply_movement(movement: StockMovement, stock: StockLevels, state: OrderState,
                    ) -> tuple[StockChange, dict[str, StockLevel]]:
    """Return the changes of a movement, and its answer; the state is updated. Raises Refusal."""
    name = _movement_id(movement)
    done = state.completed.get(name)
    if done is not None:
        if (done.verb, done.lines) != (movement.verb, movement.lines):
            raise _refusal("stock_conflict", [{"key": display_key(key)} for key in movement.lines])
        if movement.id is None and movement.verb is StockOperation.RESERVE and _is_released(state, movement.lines):
            # The answer as before would promise what is no longer reserved.
            raise _refusal("stock_conflict", [{"key": display_key(key), "reserved": 0} for key in movement.lines])
        assert stock.order_state is not None
        return StockChange(order_state=stock.order_state, order_closed=_is_closed(state)), done.levels
    if len(state.completed) >= MOVEMENTS_MAX:
        raise Refusal("parameter_invalid", f"An order has at most {MOVEMENTS_MAX} movements.")
    before = {key: _level_of(stock, key, movement.field) for key in movement.lines}
    _check_stock(movement, before, state)
    after = {key: _level_after(movement.verb, level, movement.lines[key]) for key, level in before.items()}
    for key, quantity in movement.lines.items():
        _update_line(state.lines.setdefault(key, ReservedLine()), movement.verb, quantity)
    state.completed[name] = CompletedMovement(movement.verb, movement.lines, after)
    documents = {
        key: _with_quantity(stock.documents[key], movement.field, level.stock) for key, level in after.items()
        if level.stock is not None and level.stock != before[key].stock
    }
    return StockChange(
        documents={
            key: (document, item_digest(document, locks_in(stock.field_states.get(key))))
            for key, document in documents.items()
        },
        reserved={key: level.reserved for key, level in after.items() if level.reserved != before[key].reserved},
        order_state=msgspec.json.encode(state), order_closed=_is_closed(state),
    ), after


def _check_stock(movement: StockMovement, levels: dict[str, StockLevel], state: OrderState) -> None:
    """Raise Refusal with every line that prevents the movement: unknown items first, then conflicts."""
    problems: dict[str, list[dict[str, object]]] = {"stock_unknown": [], "stock_conflict": [], "stock_short": []}
    for key, quantity in movement.lines.items():
        line: dict[str, object] = {"key": display_key(key), "quantity": quantity}
        mine, level = state.lines.get(key, ReservedLine()), levels[key]
        if movement.verb is StockOperation.RESERVE:
            if level.stock is None:
                problems["stock_unknown"].append(line)
            elif quantity > level.available:
                problems["stock_short"].append({**line, "available": level.available})
        elif movement.verb is StockOperation.REFUND:
            if quantity > mine.committed:
                problems["stock_conflict"].append({**line, "committed": mine.committed})
        elif quantity > mine.reserved:
            problems["stock_conflict"].append({**line, "reserved": mine.reserved})
    for code, lines in problems.items():
        if lines:
            raise _refusal(code, lines)


def _level_after(verb: StockOperation, level: StockLevel, quantity: int) -> StockLevel:
    """Return the stock after an operation.

    If the item was deleted, only what is reserved changes. Stock that a feed set below what is reserved ends at 0.
    """
    stock, reserved = level.stock, level.reserved
    if verb is StockOperation.RESERVE:
        return StockLevel(stock, reserved + quantity)
    if verb is StockOperation.CANCEL:
        return StockLevel(stock, reserved - quantity)
    if verb is StockOperation.COMMIT:
        return StockLevel(None if stock is None else max(0, stock - quantity), reserved - quantity)
    return StockLevel(None if stock is None else stock + quantity, reserved)


def _update_line(line: ReservedLine, verb: StockOperation, quantity: int) -> None:
    if verb is StockOperation.RESERVE:
        line.reserved += quantity
    elif verb is StockOperation.CANCEL:
        line.reserved -= quantity
    elif verb is StockOperation.COMMIT:
        line.reserved -= quantity
        line.committed += quantity
    else:
        line.committed -= quantity


def _is_released(state: OrderState, keys: Iterable[str]) -> bool:
    """Return whether everything that the order had of some of the items was released."""
    return any((state.lines[key].reserved, state.lines[key].committed) == (0, 0) for key in keys)


def _is_closed(state: OrderState) -> bool:
    return not any(line.reserved for line in state.lines.values())


def _movement_id(movement: StockMovement) -> str:
    if movement.id is not None:
        return f"={movement.id}"
    return f"{movement.verb} {digest_of(msgspec.json.encode(sorted(movement.lines.items()))).hex()}"


def _level_of(stock: StockLevels, key: str, field: str) -> StockLevel:
    value: object = decode(stock.documents.get(key, b"{}"))
    for member in field.split("/"):
        value = value.get(member) if isinstance(value, dict) else None
    return StockLevel(whole_value(value), stock.reserved.get(key, 0))


def _with_quantity(document: bytes, field: str, stock: int) -> bytes:
    """Return the document with another quantity, as text if it was text; everything else stays as it is."""
    *outer, last = field.split("/")
    was: object = decode(document)
    for member in (*outer, last):
        was = was.get(member) if isinstance(was, dict) else None
    patch: object = {last: str(stock) if isinstance(was, str) else stock}
    for member in reversed(outer):
        patch = {member: patch}
    return merge(document, msgspec.json.encode(patch))


def _check_movement(movement: StockMovement) -> None:
    if not movement.order or not 0 < len(movement.lines) <= LINES_MAX:
        raise Refusal("parameter_invalid", f"A movement has an order and 1 to {LINES_MAX} lines.")
    if not all(0 < quantity <= QUANTITY_MAX for quantity in movement.lines.values()):
        raise Refusal("parameter_invalid", f"Quantities are whole numbers from 1 to {QUANTITY_MAX}.")


def _refusal(code: str, lines: list[dict[str, object]]) -> Refusal:
    return Refusal(code, lines=lines)
