"""Items on the command line: shown, edited, unlocked."""

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from goodsgate.cli import main
from tests.http_gate import Client, HttpGate
from tests.shop import Shop


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate in this process, whose worker runs on request."""
    shop = Shop(tmp_path_factory.mktemp("gate"))
    served = HttpGate(shop)
    yield served
    served.close()
    shop.store.close()


@pytest.fixture
def client(gate: HttpGate) -> Client:
    """A client of a merchant with one product and one stock."""
    client = gate.client()
    client.submit(b'{"id":"A/1","title":"Cup","price":"9.00 EUR","brand":"Acme"}')
    client.submit(b'{"id":"A/1","location":"Bonn","quantity":3}', kind="stock")
    return client


def run(client: Client, *arguments: str) -> Result:
    """Run `goodsgate item`, and the worker behind it."""
    done = CliRunner().invoke(main, ["item", *arguments, "--url", str(client.base_url), "--key", client.secret])
    client._shop.work()
    return done


def test_an_item_is_edited_shown_and_unlocked(client: Client) -> None:
    """Texts, JSON values and cleared fields; the item shows what the supplier has sent."""
    edited = run(client, "edit", "A/1", "title=Mug = new", "Notes:=[1, 2]", "--clear", "brand", "--no-wait")
    assert edited.exit_code == 0, edited.output
    shown = run(client, "show", "A/1").output
    assert shown.splitlines() == [
        "id: A/1", "title: Mug = new  [edited; the supplier has sent Cup]", "price: 9.00 EUR",
        "Notes: [1, 2]  [edited; the supplier has sent no value]",
        "brand: no value  [edited; the supplier has sent Acme]",
    ]
    assert run(client, "unlock", "A/1", "title", "--no-wait").exit_code == 0
    assert run(client, "show", "A/1").output.splitlines()[1] == "title: Cup"
    assert run(client, "unlock", "A/1", "--no-wait").exit_code == 0
    assert "edited" not in run(client, "show", "A/1").output


def test_stock_of_a_location_is_edited(client: Client) -> None:
    """Named by SKU and location, as JSON."""
    where = ("--kind", "stock", "--location", "Bonn")
    assert run(client, "edit", "A/1", "quantity:=8", *where, "--no-wait", "--json").exit_code == 0
    assert '"locked": {"quantity": {"supplied": 3}}' in run(client, "show", "A/1", *where, "--json").output


@pytest.mark.parametrize(("arguments", "code", "text"), [
    (["edit", "A/1"], 2, "Name at least one field"), (["edit", "A/1", "title"], 2, "is not FIELD=VALUE"),
    (["edit", "A/1", "quantity:=many"], 2, "is not JSON"), (["edit", "A/1", "sku=B"], 3, "sku cannot be edited."),
    (["edit", "B", "title=Mug"], 3, "Item not found"), (["show", "B"], 3, "Item not found"),
])
def test_what_is_no_edit_is_refused(client: Client, arguments: list[str], code: int, text: str) -> None:
    """With what to write instead."""
    done = run(client, *arguments)
    assert text in done.output, done.output
    assert done.exit_code == code, done.output


def test_suggestions_are_previewed_and_applied(client: Client) -> None:
    """By code, with the values before and after; a batch without them is refused."""
    batch = str(client.submit(b'{"id":"B","title":"Mug","gtin":"4006381333932"}')["id"])

    def suggestions(*arguments: str) -> Result:
        command = ["suggestions", batch, *arguments, "--url", str(client.base_url), "--key", client.secret]
        return CliRunner().invoke(main, command)

    code = ("--code", "gtin_check_digit")
    assert suggestions("--preview", *code).output.splitlines() == [
        "1 × gtin_check_digit:/gtin", "  1 × 4006381333932 → 4006381333931", "1 record would be changed.",
    ]
    for wrong in (("--apply",), code, ("--apply", "--preview", *code)):
        assert suggestions(*wrong).exit_code == 2
    assert suggestions("--apply", "--no-wait", *code).exit_code == 0
    client._shop.work()
    assert run(client, "show", "B").output.splitlines()[-1] == "gtin: 4006381333931"
    assert "nothing_suggested" in suggestions("--apply", "--field", "/gtin", *code).output


def test_items_are_searched(client: Client) -> None:
    """By words and filters, as lines or as JSON; at most so many."""
    for number in range(3):
        client.submit(f'{{"id":"S-{number}","title":"Wool cap {number}","brand":"Bolt"}}'.encode())
    client._shop.work()
    assert run(client, "search", "wool", "cap").output.splitlines() == [f"S-{n}  Wool cap {n}" for n in range(3)]
    assert run(client, "search", "--brand", "bolt", "--limit", "2", "--prefix", "S-").output.count("\n") == 2
    assert run(client, "search", "nothing").output == ""
    stock = run(client, "search", "--kind", "stock", "--json").output
    assert json.loads(stock)["record"]["quantity"] == 3
    assert run(client, "search", "--since", "2999-01-01").output == ""
