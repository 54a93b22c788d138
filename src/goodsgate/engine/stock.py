"""Stock that orders move, beside the feeds that set it: reserved, given back, committed, refunded.

The number is in the item's document, where a feed sets it; what orders have reserved of it is kept beside the item, so
that no feed touches it. What can be reserved is what is there and not reserved yet. A movement is whole or not at all,
and one that is repeated is answered as before.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from goodsgate.engine.apply import merge
from goodsgate.engine.document_merge import decode
from goodsgate.engine.refusal import Refusal
from goodsgate.engine.validator import digest_of
from goodsgate.model.catalogue import display_key
from goodsgate.rules.quantities import whole_value
from goodsgate.store.contract import StockChange, StockLevels, Store

FIELD = "quantity"
"""Where our own stock documents have the number."""
LINES_MAX = 1_000
QUANTITY_MAX = 10**9
MOVEMENTS_MAX = 1_000
"""Of one order: each is kept, to be answered again."""


class Step(StrEnum):
    """What a movement does with the quantity of each of its lines.

    ``reserve`` keeps it for the order; ``cancel`` lets go of what is reserved; ``commit`` takes what is reserved out of
    stock; ``refund`` puts what was committed back.
    """

    RESERVE = "reserve"
    CANCEL = "cancel"
    COMMIT = "commit"
    REFUND = "refund"


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One step of one order."""

    order: str
    verb: Step
    lines: dict[str, int]
    """Item key → quantity, 1 to QUANTITY_MAX; at most LINES_MAX."""
    id: str | None = None
    """Tells two movements of an order apart; without it, two that say the same are the same one, and reserving the same
    once more after all was given back is refused."""
    field: str = FIELD
    """Members that lead to the number in the item's document, with slashes between."""


class Level(msgspec.Struct, frozen=True):
    """How an item stands."""

    stock: int | None
    """None where no such item is held, or it has no number there."""
    reserved: int
    """By all orders."""

    @property
    def available(self) -> int:
        """What can be reserved; never less than 0, though a feed may have set less than is reserved."""
        return max(0, (self.stock or 0) - self.reserved)


class Line(msgspec.Struct, omit_defaults=True):
    """What an order has done with one item so far."""

    reserved: int = 0
    committed: int = 0
    """Less what was refunded."""


class Done(msgspec.Struct, frozen=True):
    """A movement that took place, and how it was answered."""

    verb: Step
    lines: dict[str, int]
    levels: dict[str, Level]


class Memory(msgspec.Struct):
    """What is kept of an order."""

    lines: dict[str, Line] = {}
    done: dict[str, Done] = {}


decode_memory = msgspec.json.Decoder(Memory).decode


class Stock:
    """Moves and tells the stock of a collection; any number of threads and processes may do so at once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def move(self, merchant: str, collection: str, movement: Movement) -> dict[str, Level]:
        """How the items of the lines stand after the movement, by key.

        Raises Refusal: stock_unknown, stock_conflict (more than the order has reserved, or committed; or its id was
        another movement's), stock_short, each with `lines`; parameter_invalid. Raises StoreBusyError, StoreFullError.
        """
        _check(movement)
        answered: dict[str, Level] = {}

        def change(standing: StockLevels) -> StockChange:
            memory = decode_memory(standing.order_state) if standing.order_state is not None else Memory()
            moving, levels = _moved(movement, standing, memory)
            answered.update(levels)
            return moving

        self._store.change_stock(merchant, collection, order=movement.order, keys=[*movement.lines], change=change)
        return answered

    def levels(self, merchant: str, collection: str, keys: Sequence[str], *, field: str = FIELD) -> dict[str, Level]:
        """How the items of these keys stand, at one moment; every key is answered."""
        standing = self._store.stock_levels(merchant, collection, keys)
        return {key: _level(standing, key, field) for key in keys}


def _moved(movement: Movement, standing: StockLevels, memory: Memory) -> tuple[StockChange, dict[str, Level]]:
    """What the movement changes, and how it is answered; `memory` is changed. Raises Refusal."""
    name = _name(movement)
    done = memory.done.get(name)
    if done is not None:
        if (done.verb, done.lines) != (movement.verb, movement.lines):
            raise _refusal("stock_conflict", [{"key": display_key(key)} for key in movement.lines])
        if movement.id is None and movement.verb is Step.RESERVE and _is_over(memory, movement.lines):
            # "As before" would be a promise that nothing stands behind any more.
            raise _refusal("stock_conflict", [{"key": display_key(key), "reserved": 0} for key in movement.lines])
        assert standing.order_state is not None
        return StockChange(order_state=standing.order_state, order_closed=_ends(memory)), done.levels
    if len(memory.done) >= MOVEMENTS_MAX:
        raise Refusal("parameter_invalid", f"An order has at most {MOVEMENTS_MAX} movements.")
    before = {key: _level(standing, key, movement.field) for key in movement.lines}
    _check_levels(movement, before, memory)
    after = {key: _after(movement.verb, level, movement.lines[key]) for key, level in before.items()}
    for key, quantity in movement.lines.items():
        _remember(memory.lines.setdefault(key, Line()), movement.verb, quantity)
    memory.done[name] = Done(movement.verb, movement.lines, after)
    documents = {
        key: _document(standing.documents[key], movement.field, level.stock) for key, level in after.items()
        if level.stock is not None and level.stock != before[key].stock
    }
    return StockChange(
        documents={key: (document, digest_of(document)) for key, document in documents.items()},
        reserved={key: level.reserved for key, level in after.items() if level.reserved != before[key].reserved},
        order_state=msgspec.json.encode(memory), order_closed=_ends(memory),
    ), after


def _check_levels(movement: Movement, levels: dict[str, Level], memory: Memory) -> None:
    """Raise Refusal with every line that stands in the way; what is not known comes first, then what contradicts."""
    told: dict[str, list[dict[str, object]]] = {"stock_unknown": [], "stock_conflict": [], "stock_short": []}
    for key, quantity in movement.lines.items():
        line: dict[str, object] = {"key": display_key(key), "quantity": quantity}
        mine, level = memory.lines.get(key, Line()), levels[key]
        if movement.verb is Step.RESERVE:
            if level.stock is None:
                told["stock_unknown"].append(line)
            elif quantity > level.available:
                told["stock_short"].append({**line, "available": level.available})
        elif movement.verb is Step.REFUND:
            if quantity > mine.committed:
                told["stock_conflict"].append({**line, "committed": mine.committed})
        elif quantity > mine.reserved:
            told["stock_conflict"].append({**line, "reserved": mine.reserved})
    for code, lines in told.items():
        if lines:
            raise _refusal(code, lines)


def _after(verb: Step, level: Level, quantity: int) -> Level:
    """Of an item that is gone only what is reserved changes. Stock that a feed set below what is reserved ends at 0."""
    stock, reserved = level.stock, level.reserved
    if verb is Step.RESERVE:
        return Level(stock, reserved + quantity)
    if verb is Step.CANCEL:
        return Level(stock, reserved - quantity)
    if verb is Step.COMMIT:
        return Level(None if stock is None else max(0, stock - quantity), reserved - quantity)
    return Level(None if stock is None else stock + quantity, reserved)


def _remember(line: Line, verb: Step, quantity: int) -> None:
    if verb is Step.RESERVE:
        line.reserved += quantity
    elif verb is Step.CANCEL:
        line.reserved -= quantity
    elif verb is Step.COMMIT:
        line.reserved -= quantity
        line.committed += quantity
    else:
        line.committed -= quantity


def _is_over(memory: Memory, keys: Iterable[str]) -> bool:
    """Whether all that the order had of some of the items was given back."""
    return any((memory.lines[key].reserved, memory.lines[key].committed) == (0, 0) for key in keys)


def _ends(memory: Memory) -> bool:
    return not any(line.reserved for line in memory.lines.values())


def _name(movement: Movement) -> str:
    if movement.id is not None:
        return f"={movement.id}"
    return f"{movement.verb} {digest_of(msgspec.json.encode(sorted(movement.lines.items()))).hex()}"


def _level(standing: StockLevels, key: str, field: str) -> Level:
    value: object = decode(standing.documents.get(key, b"{}"))
    for member in field.split("/"):
        value = value.get(member) if isinstance(value, dict) else None
    return Level(whole_value(value), standing.reserved.get(key, 0))


def _document(document: bytes, field: str, stock: int) -> bytes:
    """With another number, text where it was text; what else it holds stays byte for byte."""
    *outer, last = field.split("/")
    was: object = decode(document)
    for member in (*outer, last):
        was = was.get(member) if isinstance(was, dict) else None
    patch: object = {last: str(stock) if isinstance(was, str) else stock}
    for member in reversed(outer):
        patch = {member: patch}
    return merge(document, msgspec.json.encode(patch))


def _check(movement: Movement) -> None:
    if not movement.order or not 0 < len(movement.lines) <= LINES_MAX:
        raise Refusal("parameter_invalid", f"A movement has an order and 1 to {LINES_MAX} lines.")
    if not all(0 < quantity <= QUANTITY_MAX for quantity in movement.lines.values()):
        raise Refusal("parameter_invalid", f"Quantities are whole numbers from 1 to {QUANTITY_MAX}.")


def _refusal(code: str, lines: list[dict[str, object]]) -> Refusal:
    return Refusal(code, lines=lines)
