"""Guards of merchants: saved under a name, and read by workers whenever the merchant's data has another version."""

from collections.abc import Mapping
from typing import Any

import msgspec

from goodsgate.engine.refusal import Refusal
from goodsgate.model.batch import now
from goodsgate.model.catalogue import Resource
from goodsgate.model.guard import CONDITIONS, HOLD_HOURS_MAX, Guard, Limit
from goodsgate.model.nearest import nearest_name
from goodsgate.store.contract import NameTakenError, ResourcesFullError, Store

RESOURCE_TYPE = "merchant/guards"
GUARDS_MAX = 100

_decode = msgspec.json.Decoder(Guard).decode


def saved_guards(store: Store, merchant: str) -> dict[str, Guard]:
    """Return the guards of a merchant by name."""
    resources = store.resources(merchant, RESOURCE_TYPE, limit=GUARDS_MAX)
    return {each.name: _decode(each.body) for each in sorted(resources, key=lambda each: each.name)}


def saved_guard(store: Store, merchant: str, name: str) -> Guard:
    """Return a guard. Raises Refusal: guard_unknown."""
    guard = saved_guards(store, merchant).get(name)
    if guard is None:
        raise Refusal("guard_unknown")
    return guard


def save_guard(store: Store, merchant: str, name: str, guard: Guard) -> None:
    """Save a guard, or replace it. Raises Refusal: guard_invalid, guards_full; StoreError for an unknown merchant."""
    check_guard(guard)
    body = msgspec.json.encode(guard)
    while True:
        resource = _find(store, merchant, name)
        try:
            if resource is None:
                store.add_resource(
                    merchant, RESOURCE_TYPE, name=name, body=body, resources_max=GUARDS_MAX, changes_rules=True
                )
            elif store.put_resource(msgspec.structs.replace(resource, body=body), changes_rules=True) is None:
                continue  # another process has changed it in the meantime
        except NameTakenError:
            continue
        except ResourcesFullError:
            raise Refusal("guards_full", f"A merchant can have {GUARDS_MAX} guards.", limit=GUARDS_MAX) from None
        return


def delete_guard(store: Store, merchant: str, name: str) -> None:
    """Delete a guard; batches that it holds stay held. Raises Refusal: guard_unknown."""
    while True:
        resource = _find(store, merchant, name)
        if resource is None:
            raise Refusal("guard_unknown")
        if store.put_resource(msgspec.structs.replace(resource, expires_at=now()), changes_rules=True) is not None:
            return


def check_guard(guard: Guard) -> None:
    """Raise Refusal, guard_invalid, for a guard that cannot be used; its detail says what is wrong."""
    fault = find_fault(guard.hold_if)
    if fault is not None:
        raise Refusal("guard_invalid", fault, member="hold_if")
    if not guard.hold_if:
        raise Refusal("guard_invalid", "A guard has at least one condition.", member="hold_if")
    if guard.records_min < 0:
        raise Refusal("guard_invalid", "records_min is 0 or more.", member="records_min")
    if guard.hold_hours is not None and not 0 < guard.hold_hours <= HOLD_HOURS_MAX:
        raise Refusal("guard_invalid", f"hold_hours is more than 0 and at most {HOLD_HOURS_MAX}.", member="hold_hours")


def parse_conditions(text: str) -> dict[str, str]:
    """Return the conditions of ``rejected:10%,zero_prices:1``. Raises Refusal: parameter_invalid."""
    conditions: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, colon, limit = pair.partition(":")
        if not colon:
            detail = f"{pair[:100]!r} is not condition:limit, such as rejected:10%."
            raise Refusal("parameter_invalid", detail, parameter="hold_if")
        conditions[name.strip()] = limit.strip()
    check_conditions(conditions)
    return conditions


def check_conditions(conditions: Mapping[str, str]) -> None:
    """Raise Refusal, parameter_invalid, for conditions of a submission that cannot be used."""
    fault = find_fault(conditions)
    if fault is not None:
        raise Refusal("parameter_invalid", fault, parameter="hold_if", allowed=[*CONDITIONS])


def find_fault(conditions: Mapping[str, str]) -> str | None:
    """Return what is wrong with conditions; None if nothing is."""
    for name, text in conditions.items():
        condition, limit = CONDITIONS.get(name), Limit.parse(text)
        if condition is None:
            near = nearest_name(name, CONDITIONS)
            hint = f"; did you mean {near}?" if near is not None else f". There are: {', '.join(CONDITIONS)}."
            return f"There is no condition {name[:100]!r}{hint}"
        if limit is None:
            return f"{text[:100]!r} is no limit of {name}: a number such as 20, or a share such as 1.5%, above 0."
        if limit.is_share and not condition.of:
            return f"The limit of {name} is a number such as 1; it has no share."
        if not limit.is_share and not condition.has_count:
            return f"The limit of {name} is a share such as 10%."
    return None


def guard_document(name: str, guard: Guard) -> dict[str, Any]:
    """Return a guard as the API and the command line show it."""
    return {
        "name": name, "hold_if": guard.hold_if, "kind": guard.kind, "collection": guard.collection,
        "records_min": guard.records_min, "hold": guard.hold, "hold_hours": guard.hold_hours,
    }


def _find(store: Store, merchant: str, name: str) -> Resource | None:
    resources = store.resources(merchant, RESOURCE_TYPE, limit=GUARDS_MAX)
    return next((each for each in resources if each.name == name), None)
