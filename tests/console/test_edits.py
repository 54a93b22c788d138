"""Items are edited on their page, and unlocked there."""

from tests.console.conftest import Person, csrf, text_of


def _item(person: Person, base: str = "") -> str:
    return f"{base or person.base}/catalogue/product/products/item"


def test_an_item_is_edited_and_unlocked_on_its_page(clerk: Person) -> None:
    """Only what was changed is submitted; locked fields show the value of the supplier, and a button each."""
    clerk.gate.shop.run(
        [{"id": "A/1", "title": "Cup", "brand": "Acme", "Notes": [1], "description": "a\nb"}], merchant=clerk.merchant
    )
    path, page = _item(clerk), f"{_item(clerk)}?key=A%2F1"
    assert 'name="before:title" value="Cup"' in clerk.get(page).text
    shown = {"title": "Cup", "brand": "Acme", "Notes": "[\n  1\n]", "description": "a\nb"}
    form = {f"before:{name}": value for name, value in shown.items()} | {
        f"cell:{name}": value.replace("\n", "\r\n") for name, value in shown.items()
    }
    form |= {"cell:title": "<Mug>", "cell:brand": "", "cell:Notes": "[1, 2]", "name": "color", "value": "red"}
    answer = clerk.fill(f"{path}/edit", page, key="A/1", **form)
    assert "Edit of A/1 by " in text_of(answer.text)
    clerk.gate.shop.work()
    document = {"id": "A/1", "title": "<Mug>", "Notes": [1, 2], "description": "a\nb", "color": "red"}
    assert clerk.gate.shop.items(merchant=clerk.merchant) == {"A/1": document}
    text = text_of(clerk.get(page).text)
    for supplied in ("Cup", "Acme", "[ 1 ]", "no value"):
        assert f"edited The supplier has sent: {supplied} Unlock" in text, text
    clerk.fill(f"{path}/unlock", page, key="A/1", field="title")
    clerk.gate.shop.work()
    assert "<dt>title</dt><dd>Cup</dd>" in clerk.get(page).text
    clerk.fill(f"{path}/unlock", page, key="A/1")
    clerk.gate.shop.work()
    assert "edited" not in text_of(clerk.get(page).text)


def test_what_is_no_edit_is_refused_on_the_page(clerk: Person) -> None:
    """Nothing changed, no JSON where there was some, the key, and an item that is not there."""
    clerk.gate.shop.run([{"id": "A", "title": "Cup", "Notes": [1]}], merchant=clerk.merchant)
    path, page = f"{_item(clerk)}/edit", f"{_item(clerk)}?key=A"
    for fields, status in (
        ({"cell:title": "Cup", "before:title": "Cup"}, 422), ({"cell:Notes": "[1"}, 422), ({"cell:id": "B"}, 422),
        ({"key": "B", "cell:title": "Mug"}, 404), ({"key": "", "cell:title": "Mug"}, 404),
    ):
        assert clerk.fill(path, page, **{"key": "A", **fields}).status_code == status, fields


def test_readers_and_items_of_a_schema_have_no_form(clerk: Person, reader: Person) -> None:
    """Neither form nor buttons; requests without them are refused."""
    clerk.gate.shop.run([{"id": "A", "title": "Cup"}], merchant=clerk.merchant)
    clerk.gate.shop.run([{"id": "A", "title": "Mug"}], merchant=clerk.merchant, edit="lock", verb="update")
    page = reader.get(f"{_item(clerk)}?key=A").text
    assert "The supplier has sent: Cup" in text_of(page)
    assert "Save and lock" not in page
    assert "Unlock" not in page
    token = csrf(page)
    for action in ("edit", "unlock"):
        assert reader.post(f"{_item(clerk)}/{action}", data={"csrf": token, "key": "A"}).status_code == 403
    policy = {"schema": "productsup/Product", "verb": "update", "update_creates": True}
    clerk.gate.shop.run([{"id": "S", "title": "x"}], merchant=clerk.merchant, **policy)
    page = clerk.get(f"{_item(clerk)}?key=S").text
    assert "Save and lock" not in page
    assert clerk.fill(f"{_item(clerk)}/unlock", f"{_item(clerk)}?key=S", key="S").status_code == 409
