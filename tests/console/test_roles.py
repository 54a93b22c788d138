"""Roles in the console: every path against the table of permissions, and what people do in the audit log."""

import re
from collections.abc import Iterator

import pytest

from goodsgate.console import Console
from goodsgate.console.permissions import ACCESS, page_access
from goodsgate.model.audit import ACTIONS
from goodsgate.model.permissions import GRANTS, PERMISSIONS
from tests import factories
from tests.console.conftest import Person, csrf
from tests.http_gate import HttpGate
from tests.shop import Shop, ndjson


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpGate]:
    """A gate over one kind of store: nothing here depends on it."""
    with Shop(tmp_path_factory.mktemp("roles")) as shop:
        served = HttpGate(shop)
        yield served
        served.close()


def _routes(gate: HttpGate) -> dict[str, set[str]]:
    """Path → methods, of every page that needs a session."""
    handlers = Console(gate.application.context, [], dry_runner=gate.application.context.dry_runner).handlers()
    return {
        path: {method for method, handler in zip(("GET", "POST"), pair, strict=False) if handler is not None}
        for path, pair in handlers.items()
    }


def _address(path: str, merchant: str) -> str:
    return re.sub(r"\{\w+\}", "0" * 32, path.replace("{merchant}", merchant))


def test_every_form_is_in_the_table(gate: HttpGate) -> None:
    """With a permission and, if it changes something else than records, an action of the audit log."""
    routes = _routes(gate)
    assert len(routes) > 40
    posts = {path for path, methods in routes.items() if "POST" in methods}
    assert posts <= ACCESS.keys() <= routes.keys()
    assert {access.action for access in ACCESS.values()} - {None} <= ACTIONS.keys()
    assert {access.see for access in ACCESS.values()} | {access.change for access in ACCESS.values()} <= {*PERMISSIONS}


@pytest.mark.parametrize("scope", ["read", "clerk", "integrator", "admin"])
def test_every_path_demands_its_permission(gate: HttpGate, scope: str) -> None:
    """Whoever lacks it gets 403 and nothing is changed; whoever has it gets something else."""
    with Person(gate, gate.merchant(), scope) as person:
        token = csrf(person.sign_in().get("/console/batches").text)
        for path, methods in _routes(gate).items():
            if path in ("/console/sign-out", "/console/changes"):
                continue
            access, address = page_access(path), _address(path, person.merchant)
            for method in methods:
                permission = access.see if method == "GET" else access.change
                answer = person.request(method, address, headers={"x-csrf": token}, follow_redirects=False)
                assert (answer.status_code == 403) == (permission not in GRANTS[scope]), (method, path)


@pytest.mark.parametrize(("scope", "seen", "hidden"), [
    ("clerk", ("Submit", "Catalogue", "clerk"), ("Rules", "Guards", "Webhooks", "Audit", "Merchants")),
    ("integrator", ("Submit", "Rules", "Guards", "Webhooks", "Audit", "integrator"), ("Merchants",)),
    ("admin", ("Rules", "Webhooks", "Audit", "Merchants", "operator"), ()),
])
def test_people_see_what_concerns_them(
    gate: HttpGate, scope: str, seen: tuple[str, ...], hidden: tuple[str, ...],
) -> None:
    """In the navigation."""
    with Person(gate, gate.merchant(), scope) as person:
        header = person.sign_in().get("/console/batches").text.partition("</header>")[0]
        assert [word for word in seen if f">{word}<" not in header] == []
        assert [word for word in hidden if f">{word}<" in header] == []


def test_what_people_do_is_in_the_audit_log(gate: HttpGate) -> None:
    """Sign-ins too, with the page that shows them; refused ones are bounded."""
    merchant = gate.merchant()
    gate.client(merchant).submit(ndjson(factories.products(1)))
    with Person(gate, merchant, "admin") as person:
        token, base = csrf(person.sign_in().get("/console/batches").text), f"/console/merchants/{merchant}"
        made = person.post(f"{base}/keys", data={"csrf": token, "label": "till", "scope": ["clerk"]})
        name = re.search(r"gg_([0-9a-f]+)_[\w-]+</p>", made.text)[1]
        assert name in made.text
        rotated = person.post(f"{base}/keys/{name}/rotate", data={"csrf": token})
        assert "Copy the key now" in rotated.text
        changes = {"csrf": token, "label": "desk", "scope": ["clerk"], "expires": "2099-01-31"}
        assert "2099-01-31" in person.post(f"{base}/keys/{name}", data=changes).text
        person.post(f"{base}/keys/{name}/revoke", data={"csrf": token})
        person.post(base, data={"csrf": token, "name": "New"})
        person.post(f"{base}/rules", data={"csrf": token, "name": "r", "expression": "true", "action": "save"})
        person.post(f"{base}/rules", data={"csrf": token, "name": "r", "expression": "true", "action": "try"})
        person.post(f"{base}/rules", data={"csrf": token, "name": "r", "action": "delete"})
        for action in ("save", "try", "delete"):
            person.post(f"{base}/guards", data={"csrf": token, "name": "g", "limit:created": "9", "action": action})
        person.post(
            f"{base}/catalogue/product/products/item/edit",
            data={"csrf": token, "key": "SKU-0001", "name": "note", "value": "by hand"},
        )
        page = person.get(f"{base}/audit")
        actions = re.findall(r"<span title=\"[^\"]+\">([a-z_.]+)</span>", page.text)
        assert actions == [
            "item.edit", "guard.delete", "guard.put", "rule.delete", "rule.put", "merchant.change", "key.revoke",
            "key.change", "key.rotate", "key.add", "sign_in.accept",
        ]
        assert person.get(f"{base}/audit?action=rule").text.count("<tr>") == 3
        assert person.get(f"{base}/audit?since=2099-01-01").text.count("<tr>") == 2
        for _ in range(12):
            form = csrf(person.get("/console/sign-in").text)
            person.post("/console/sign-in", data={"key": "gg_x_y", "csrf": form})
        log = person.get("/console/audit?action=sign_in").text
        assert 1 <= log.count("the key is not valid") <= 10
        assert "gg_x_y" not in log
