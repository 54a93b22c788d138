"""The grid of rejected records, as its script talks to the gate."""

from typing import Any

import httpx
import orjson

from tests.console.conftest import Person, csrf, text_of
from tests.console.test_batches import DIRTY


def _post(person: Person, path: str, body: object) -> httpx.Response:
    headers = {"x-csrf": csrf(person.get("/console/batches").text)}
    return person.post(path, content=orjson.dumps(body), headers=headers)


def _rows(person: Person, path: str, **query: str) -> dict[str, Any]:
    answer = person.get(f"{path}/grid/rows", params=query)
    assert answer.is_success, answer.text
    return dict(answer.json())


def test_the_batch_and_its_groups_lead_to_the_grid(clerk: Person, reader: Person) -> None:
    """The page of a group limits the grid to it; who may only read sees rows and no buttons."""
    path = clerk.submit(DIRTY)
    group = {"code": "gtin_check_digit", "field": "/gtin"}
    assert f'href="{path}/grid"' in clerk.get(path).text
    assert f"{path}/grid?code=gtin_check_digit&amp;field=%2Fgtin" in clerk.get(f"{path}/records", params=group).text
    assert "Only records with gtin_check_digit in gtin" in text_of(clerk.get(f"{path}/grid", params=group).text)
    assert [row["row"] for row in _rows(clerk, path, **group)["rows"]] == [2, 3]
    page = reader.get(f"{path}/grid").text
    assert ("data-editable" in page, "Save and revalidate" in page) == (False, False)
    assert len(_rows(reader, path)["rows"]) == 4
    assert len(_post(reader, f"{path}/grid/rows", {"rows": [1, 2]}).json()["rows"]) == 2


def test_corrections_are_saved_as_one_round(clerk: Person) -> None:
    """Rows that are still rejected come back with their issues; the others are gone."""
    path = clerk.submit(DIRTY)
    page = _rows(clerk, path)
    versions = {row["row"]: row["version"] for row in page["rows"]}
    cells: dict[int, dict[str, str]] = {1: {"2": "12.50 EUR"}, 2: {"3": "4006381333931"}, 4: {"1": "", "2": "x"}}
    corrections = [{"row": row, "version": versions[row], "cells": texts} for row, texts in cells.items()]
    answer = _post(clerk, f"{path}/grid", {"key": "a", "corrections": corrections})
    assert answer.json() == {"sent": [1, 2, 4], "changed": [], "gone": []}
    asked = {"rows": [1, 2, 4], "shown": ["1"]}
    assert _post(clerk, f"{path}/grid/rows", asked).json()["is_open"] is True
    clerk.gate.shop.work()
    after = _post(clerk, f"{path}/grid/rows", asked).json()
    assert (after["is_open"], after["rejected"], [row["row"] for row in after["rows"]]) == (False, 2, [4])
    assert [issue["column"] for issue in after["rows"][0]["issues"]] == ["1", "2"]
    assert "3 created" in text_of(clerk.get(path).text)


def test_a_long_list_comes_in_pages(clerk: Person) -> None:
    """Each page says where the next one starts."""
    content = b"sku,title\n" + b"".join(b"P%d,\n" % number for number in range(1100))
    path = clerk.submit(content)
    numbers: list[int] = []
    after: int | None = 0
    while after is not None:
        page = _rows(clerk, path, after=str(after))
        assert len(page["rows"]) <= 500
        numbers += [row["row"] for row in page["rows"]]
        after = page["next"]
    assert numbers == [*range(1, 1101)]


def test_what_is_no_correction_is_refused(clerk: Person) -> None:
    """Nothing causes a server error, and nothing is queued."""
    path = clerk.submit(DIRTY)
    headers = {"x-csrf": csrf(clerk.get("/console/batches").text)}
    statuses = {
        body: clerk.post(f"{path}/grid", content=body, headers=headers).status_code for body in (
            b"{", b"[]", b'{"key":"a"}', b'{"key":"\xff","corrections":[]}', b'{"key":"a","corrections":[],"x":1}',
            b'{"key":"a","corrections":[{"row":1,"version":"","cells":{"0":"\\u0000"}}]}',
            b'{"key":"a","corrections":[{"row":-5,"version":"","cells":{}}]}', b'{"key":"a","x":' + b"[" * 5000,
            b'{"key":"a","corrections":[{"row":99999999999999999999,"version":"","cells":{}}]}',
            b'{"key":"\xc3\xa4","corrections":[]}',
        )
    }
    assert set(statuses.values()) == {400}, statuses
    for key, row in (("c", 10**18 - 1), ("d", 1)):
        body = {"key": key, "corrections": [{"row": row, "version": "other", "cells": {"0": "x"}}]}
        assert _post(clerk, f"{path}/grid", body).json()["sent"] == []
    assert "Rounds 1" in text_of(clerk.get(path).text)


def test_only_the_merchants_own_pages_can_save(clerk: Person, reader: Person, stranger: Person) -> None:
    """A key without the scope, another merchant and another site are refused."""
    path = clerk.submit(DIRTY)
    body = {"key": "a", "corrections": []}
    assert _post(reader, f"{path}/grid", body).status_code == 403
    assert _post(stranger, f"{path}/grid", body).status_code == 404
    assert stranger.get(f"{path}/grid/rows").status_code == 404
    assert clerk.post(f"{path}/grid", content=orjson.dumps(body)).status_code == 403
    assert clerk.get(f"{path}/grid", params={"code": "nothing"}).status_code == 400
