"""Edits of one item: its fields in a form, the locks of edited fields, and the buttons that unlock them."""

from collections.abc import Callable

import msgspec
from starlette.responses import RedirectResponse, Response

from goodsgate.console.batch import batch_path
from goodsgate.console.rendering import HEADERS
from goodsgate.console.request import ConsoleRequest, FormFields
from goodsgate.engine.edits import ItemName, edit_item, editor_name, find_editable, unlock_fields
from goodsgate.engine.refusal import Refusal
from goodsgate.http.context import ServerContext
from goodsgate.http.problems import refuse
from goodsgate.model.audit import note
from goodsgate.model.batch import Batch, Kind
from goodsgate.model.catalogue import Item, display_key
from goodsgate.model.json_text import UNREADABLE_JSON, read_json, write_json

CELL, BEFORE = "cell:", "before:"
"""Prefixes of form fields: a member as it was edited, and as the form has shown it."""
NO_VALUE = "no value"


class ItemMember(msgspec.Struct, frozen=True, kw_only=True):
    """A member of an item as its page shows it."""

    name: str
    text: str
    is_locked: bool = False
    supplied: str = ""
    """Value that the supplier has sent, of a locked field."""
    is_key: bool = False
    """It says which item this is, and cannot be edited."""


def item_members(item: Item) -> list[ItemMember]:
    """Return the members of an item in their order, then locked fields that it does not have any more."""
    document = read_json(item.document)
    if not isinstance(document, dict):
        return []
    supplied = {
        name: NO_VALUE if lock.supplied is msgspec.UNSET else _text_of(read_json(bytes(lock.supplied)))
        for name, lock in item.locks.items()
    }
    texts = {name: _text_of(value) for name, value in document.items()}
    return [
        ItemMember(
            name=name, text=texts.get(name, ""), is_locked=name in supplied, supplied=supplied.get(name, ""),
            is_key=name in ("id", "location"),
        )
        for name in [*texts, *(name for name in supplied if name not in texts)]
    ]


class ItemEdits:
    """Actions of the page of an item."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._engine = context.engine

    async def edit(self, request: ConsoleRequest) -> Response:
        """Submit the fields of the form that were changed; they are locked."""
        form, name = await self._action(request)

        def submit(editor: str) -> Batch:
            item = find_editable(self._engine.store, name)
            return edit_item(self._engine, name, _changed_members(form, item), editor=editor)

        return await self._submit(request, submit)

    async def unlock(self, request: ConsoleRequest) -> Response:
        """Give one field, or all, the value of the supplier again."""
        form, name = await self._action(request)
        fields = [value for field, value in form.pairs if field == "field"]
        return await self._submit(request, lambda editor: unlock_fields(self._engine, name, fields, editor=editor))

    async def _action(self, request: ConsoleRequest) -> tuple[FormFields, ItemName]:
        """Return the form of an action and the item that it is about; raises forbidden."""
        form, merchant = await request.form(), await request.merchant()
        try:
            kind = Kind(request.path_param("kind"))
        except ValueError:
            raise refuse("not_found") from None
        name = ItemName(merchant, kind, request.path_param("collection"), form.get_raw("key"))
        note(subject=f"{name.collection}/{display_key(name.key)}")
        return form, name

    async def _submit(self, request: ConsoleRequest, submit: Callable[[str], Batch]) -> Response:
        caller = request.caller

        def act() -> Batch:
            return submit(editor_name(self._engine.store, caller.merchant, caller.key_id))

        batch = await self._context.run_in_thread(act)
        return RedirectResponse(batch_path(batch), 303, headers=HEADERS)


def _changed_members(form: FormFields, item: Item) -> dict[str, msgspec.Raw]:
    """Return the members that differ from what the form has shown; an empty one is removed.

    A member that is no text is edited as JSON. Raises Refusal (edit_invalid).
    """
    texts = {name: value.replace("\r\n", "\n") for name, value in reversed(form.pairs)}
    document = read_json(item.document)
    members: dict[str, msgspec.Raw] = {}
    for field, text in texts.items():
        name = field.removeprefix(CELL)
        if name != field and text != texts.get(BEFORE + name):
            members[name] = _value_of(name, text, document.get(name) if isinstance(document, dict) else None)
    if added := form.get("name"):
        members[added] = _value_of(added, texts.get("value", ""), None)
    return dict(sorted(members.items()))


def _value_of(name: str, text: str, before: object) -> msgspec.Raw:
    if not text.strip():
        return msgspec.Raw(b"null")
    if before is None or isinstance(before, str):
        return msgspec.Raw(write_json(text))
    try:
        read_json(text.encode())
    except UNREADABLE_JSON as fault:
        raise Refusal("edit_invalid", f"{name} is not valid JSON: {fault}.", field=name) from fault
    return msgspec.Raw(text.encode())


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.format(write_json(value), indent=2).decode()
