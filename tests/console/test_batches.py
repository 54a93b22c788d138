"""The list of batches, one batch, and the correction of its records."""

import re
from html import unescape
from html.parser import HTMLParser

import orjson
import pytest

from goodsgate.engine.saved_rules import save_rule
from goodsgate.model.batch import Kind
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.record_rule import RecordRule
from tests.console.conftest import Person, csrf, text_of
from tests.http_gate import HttpGate
from tests.shop import Shop

DIRTY = (
    b'sku,title,price,ean\nA1,Shoe,"12,50 EUR",4006381333931\nA2,Tent,9.99 EUR,4006381333932\n'
    b"A3,Lamp,5.00 EUR,4006381333932\nA4,,1.00 EUR,\nA5,Rope,2.00 EUR,\n"
)
SCRIPT = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>{{7*7}}"


def test_a_batch_is_listed_with_its_results(clerk: Person) -> None:
    """The result bar has a text for screen readers."""
    path = clerk.submit(DIRTY, filename="spring.csv")
    page = clerk.get("/console/batches").text
    assert path in page
    assert 'aria-label="1 created, 4 rejected"' in page
    assert "spring.csv" in page
    assert re.search(r'class="badge partial"><span aria-hidden="true">◐</span> partial', page)


def test_a_batch_tells_how_its_file_was_read(clerk: Person) -> None:
    """One line among the details."""
    feed = "sku;title\nA1;Größe für Möbel\n".encode("cp1252")
    text = text_of(clerk.get(clerk.submit(feed, filename="spring.csv")).text)
    assert "Read as format csv detected , encoding Windows-1252 detected , delimiter semicolon detected" in text


@pytest.mark.parametrize(("params", "is_listed"), [
    ({"q": "spring"}, True), ({"q": "autumn"}, False), ({"kind": "product"}, True), ({"kind": "stock"}, False),
    ({"state": "finished"}, True), ({"state": "queued"}, False), ({"outcome": "partial"}, True),
    ({"outcome": "clean"}, False), ({"protocol": "console"}, True), ({"protocol": "konnect"}, False),
    ({"view": "failed"}, True), ({"view": "clean"}, False), ({"view": "open"}, False), ({"view": "held"}, False),
    ({"q": "SPRING csv"}, True), ({"q": "spring autumn"}, False), ({"q": "failed product"}, True),
    ({"q": "partial console"}, True), ({"q": "rejected spring"}, False), ({"q": "queued"}, False),
    ({"since": "2020-01-01"}, True), ({"since": "2999-01-01"}, False), ({"until": "2020-01-01"}, False),
])
def test_batches_are_filtered(clerk: Person, params: dict[str, str], is_listed: bool) -> None:
    """Every filter works alone; empty filters are ignored."""
    path = clerk.submit(DIRTY, filename="spring.csv")
    empty = dict.fromkeys(("q", "merchant", "protocol", "kind", "state", "outcome", "since", "until"), "")
    page = clerk.get("/console/batches", params={**empty, **params}).text
    assert (path in page) is is_listed


@pytest.mark.parametrize("params", [{"view": "x"}, {"kind": "x"}, {"state": "x"}, {"outcome": "x"}, {"since": "x"}])
def test_an_invalid_filter_is_refused(clerk: Person, params: dict[str, str]) -> None:
    """The error page names the code."""
    answer = clerk.get("/console/batches", params=params)
    assert (answer.status_code, "parameter_invalid" in answer.text) == (400, True)


def test_the_list_is_paged_and_its_rows_load_separately(clerk: Person) -> None:
    """Every batch appears once; the live fragment is the table without the page around it."""
    for number in range(55):
        clerk.gate.shop.send([{"id": f"A{number}", "title": "x"}], merchant=clerk.merchant)
    clerk.gate.shop.work()
    first = clerk.get("/console/batches").text
    older = re.search(r'<a href="([^"]*)" rel="next">Older', first)
    assert older is not None
    second = clerk.get(older[1].replace("&amp;", "&")).text
    links = [re.findall(r'id="b-([0-9a-f]{32})"', page) for page in (first, second)]
    assert [len(page) for page in links] == [50, 5]
    assert not set(links[0]) & set(links[1])
    part = clerk.get("/console/batches", headers={"hx-request": "true"}).text
    assert "<table" in part
    assert "<html" not in part


def test_issues_are_grouped_by_frequency(clerk: Person) -> None:
    """A group has a title that can be read alone, its values and the submitter's column, and links to its records."""
    path = clerk.submit(DIRTY)
    page = clerk.get(path).text
    text = text_of(page)
    assert "2 GTINs have a wrong check digit 4006381333932 × 2" in text
    assert "Column ean · gtin_check_digit" in text
    assert "Apply suggestion to 2 records 4006381333932 → 4006381333931 × 2" in text
    assert '1 price of "price" uses the wrong decimal mark for example 12,50 EUR' in text
    assert f"{path}/records?code=gtin_check_digit&amp;field=%2Fgtin" in page
    records = clerk.get(f"{path}/records", params={"code": "gtin_check_digit", "field": "/gtin"}).text
    assert "Record 2" in records
    assert "Record 3" in records
    assert "Record 1 " not in text_of(records)
    assert "Apply suggestion to all" in records


def test_errors_come_before_warnings(clerk: Person) -> None:
    """However many warnings there are; they are folded, and so is a retry that does not help."""
    rows = b"".join(b"W%d,<b>Tent</b>,1.00 EUR,\n" % number for number in range(9))
    page = clerk.get(clerk.submit(DIRTY + rows)).text
    errors, warnings = page.split('<details class="warnings"')
    assert "have a wrong check digit" in errors
    assert 'values of "title" contain HTML' in text_of(warnings).replace("&#34;", '"')
    assert "9 values of" not in errors
    assert "Retry" not in text_of(errors)
    assert "the errors above lie in the records themselves" in text_of(warnings)


def test_a_group_offers_what_helps(clerk: Person) -> None:
    """Load what is missing, and retry only after it was loaded, or after a rule has changed."""
    store = clerk.gate.shop.store
    store.put_reference(clerk.merchant, "brand", [ReferenceEntry(code="Other")])
    save_rule(store, clerk.merchant, "cheap", RecordRule(expression="amount(record.price) >= 1.0"))
    path = clerk.submit(b"sku,title,brand,price\nB1,Tent,Acme,\nB2,Tent,,0.50 EUR\n", references="refuse")
    before = text_of(clerk.get(path).text)
    assert "1 record has an unknown brand for example Acme" in before
    assert "Load missing brands" in before
    assert '1 record breaks the rule "cheap"' in before
    assert "See the rule" in before
    assert "is known now" not in before
    assert "what the records refer to is still missing" in before
    store.put_reference(clerk.merchant, "brand", [ReferenceEntry(code="ACME")])
    save_rule(store, clerk.merchant, "cheap", RecordRule(expression="amount(record.price) >= 0.1"))
    after = text_of(clerk.get(path).text)
    assert "Acme is known now. Retry 2 rejected records" in after
    assert "The rule has changed since. Retry 2 rejected records" in after
    assert "Load missing brands" not in after


SCENARIOS = {
    "queued": lambda shop, merchant: shop.send([{"id": "A", "title": "x"}], merchant=merchant),
    "clean": lambda shop, merchant: shop.run([{"id": "A", "title": "x"}], merchant=merchant).id,
    "partial": lambda shop, merchant: shop.run(DIRTY, merchant=merchant, format="csv").id,
    "dry run": lambda shop, merchant: shop.run(DIRTY, merchant=merchant, format="csv", dry_run=True).id,
    "withheld": lambda shop, merchant: shop.run(
        [{"id": "Z", "title": "x"}], merchant=merchant, mode="full", delete_share_max=0.0).id,
    "waiting": lambda shop, merchant: shop.run(
        [{"id": "A", "title": "x", "brand": "?"}], merchant=merchant, references="wait", waiting_hours=1.0).id,
    "broken": lambda shop, merchant: shop.run(DIRTY, merchant=merchant, format="csv", trouble="broken").id,
    "rejected as ordered": lambda shop, merchant: shop.run(
        DIRTY, merchant=merchant, format="csv", trouble="rejected").id,
    "held": lambda shop, merchant: shop.run(
        DIRTY, merchant=merchant, format="csv", hold_if={"rejected": "1"}).id,
    "reverted": lambda shop, merchant: _reverted(shop, merchant),
    "cancelled": lambda shop, merchant: _cancelled(shop, merchant),
}


def _reverted(shop: Shop, merchant: str) -> str:
    batch = shop.run(DIRTY, merchant=merchant, format="csv").id
    shop.engine.revert(merchant, batch)
    shop.work()
    return batch


def _cancelled(shop: Shop, merchant: str) -> str:
    batch = shop.send(DIRTY, merchant=merchant, format="csv")
    shop.engine.cancel(merchant, batch)
    shop.work()
    return batch


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_button_of_a_batch_ends_in_a_conflict(clerk: Person, name: str) -> None:
    """Whatever the state of the batch, each form and each link of its page does what it says."""
    shop = clerk.gate.shop
    pressed = 0
    while True:
        shop.run([{"id": f"K{number}", "title": "x"} for number in range(3)], merchant=clerk.merchant)
        path = f"{clerk.base}/batches/{SCENARIOS[name](shop, clerk.merchant)}"
        page = clerk.get(path).text
        if not pressed:
            for link in set(re.findall(rf'href="({path}[^"]*)"', page)):
                assert clerk.get(unescape(link)).status_code == 200, link
        forms = re.findall(rf'<form method="post" action="({path}[^"]*)"[^>]*>(.*?)</form>', page, re.S)
        if pressed == len(forms):
            break
        action, body = forms[pressed]
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', body)
        answer = clerk.post(action, data={field: unescape(value) for field, value in fields})
        assert (answer.status_code, "/batches/" in answer.url.path) == (200, True), action
        shop.work()
        pressed += 1


def test_an_action_that_comes_too_late_says_so_on_the_page_of_the_batch(clerk: Person) -> None:
    """The page shows the batch as it now is, and folds what only technicians read."""
    path = clerk.submit(DIRTY)
    group = {"code": "gtin_check_digit", "field": "/gtin"}
    clerk.fill(f"{path}/accept-suggestions", path, **group)
    late = clerk.fill(f"{path}/retry", path)
    assert late.status_code == 409
    assert "Not done. The batch has not finished yet. This page shows the batch as it is now." in text_of(late.text)
    assert "<h1>feed.csv</h1>" in late.text
    assert "<code>batch_open</code>" in late.text.split("Technical details")[1]
    clerk.gate.shop.work()
    assert clerk.fill(f"{path}/accept-suggestions", path, **group).status_code == 409


def test_figures_of_each_round_stay_true_after_a_fix(clerk: Person) -> None:
    """A correction has its own records and time, and says what it changed."""
    path = clerk.submit(DIRTY)
    assert "What it changed in the results" not in clerk.get(path).text
    clerk.fill(f"{path}/accept-suggestions", path, code="gtin_check_digit", field="/gtin")
    clerk.gate.shop.work()
    text = text_of(clerk.get(path).text)
    assert re.search(r"1 · submission 5 \+1 created, \+4 rejected 4 ", text), text
    assert re.search(r"2 · correction 2 \+2 created, −2 rejected 2 ", text), text


def test_the_field_with_an_issue_is_marked_in_the_submitted_record(clerk: Person) -> None:
    """It has the submitter's own name, in tables and in JSON."""
    for content, name in ((DIRTY, "feed.csv"), (b'{"sku":"J1","name":"Tent","ean":"4006381333932"}\n', "feed.ndjson")):
        path = clerk.submit(content, filename=name)
        page = clerk.get(f"{path}/records", params={"code": "gtin_check_digit"}).text
        marked = re.search(r'<div class="field marked"><span class="name">ean.*?class="value">([^<]*)<', page, re.S)
        assert marked is not None
        assert marked[1] == "4006381333932"


def test_a_suggestion_is_applied_to_all_records_of_a_group(clerk: Person) -> None:
    """One new round of the batch corrects every record of the group and no other record."""
    path = clerk.submit(DIRTY)
    group = {"code": "gtin_check_digit", "field": "/gtin"}
    answer = clerk.fill(f"{path}/accept-suggestions", path, **group)
    assert answer.url.path == path
    clerk.gate.shop.work()
    page = text_of(clerk.get(path).text)
    assert "3 created" in page
    assert "2 rejected" in page
    assert "Rounds 2" in page
    item = clerk.gate.shop.store.item(clerk.merchant, Kind.PRODUCT, "products", "A2")
    assert item is not None
    assert orjson.loads(item.document)["gtin"] == "4006381333931"
    again = clerk.fill(f"{path}/accept-suggestions", path, **group)
    assert (again.status_code, "nothing_suggested" in again.text) == (409, True)


def test_the_suggestions_of_one_record_are_applied(clerk: Person) -> None:
    """Other records stay rejected, and a record cannot be corrected twice."""
    path = clerk.submit(DIRTY)
    clerk.fill(f"{path}/records/1", path, accept="all")
    clerk.gate.shop.work()
    assert "3 rejected" in text_of(clerk.get(path).text)
    again = clerk.fill(f"{path}/records/1", path, accept="all")
    assert (again.status_code, "no longer rejected" in again.text) == (409, True)
    none = clerk.fill(f"{path}/records/4", path, accept="all")
    assert (none.status_code, "nothing_suggested" in none.text) == (409, True)


def test_a_corrected_report_makes_the_batch_clean(clerk: Person) -> None:
    """The report is downloaded, corrected and uploaded on the page."""
    path = clerk.submit(DIRTY)
    report = clerk.get(f"{path}/report")
    assert "attachment" in report.headers["content-disposition"]
    corrected = report.text.replace("4006381333932", "4006381333931").replace("12,50", "12.50")
    corrected = corrected.replace("A4,,", "A4,Peg,")
    rows = corrected.count("\n") - 1
    preview = clerk.drop(f"{path}/fix/preview", corrected.encode(), filename="report.csv")
    shown = text_of(preview.text)
    assert f"{rows} of {rows} rows match rejected records and will replace them. 4 have changes." in shown
    assert "1 A1 price 12,50 EUR 12.50 EUR" in shown
    assert "4 A4 title empty Peg" in shown
    other = clerk.drop(f"{path}/fix/preview", b"import a, b\n\nprint(a, b)\n", filename="report.csv")
    assert ("data-send" in preview.text, "data-send" in other.text) == (True, False)
    assert clerk.drop(f"{path}/fix", b"import a, b\n\nprint(a, b)\n", filename="x.csv").status_code == 422
    answer = clerk.drop(f"{path}/fix", corrected.encode(), filename="report.csv")
    assert (answer.status_code, answer.headers["x-location"]) == (202, path)
    clerk.gate.shop.work()
    page = text_of(clerk.get(path).text)
    assert "✓ clean" in page
    assert "No issues" in page
    for format in ("ndjson", "json", "csv", "tsv", "xlsx"):
        assert clerk.get(f"{path}/report", params={"only": "all", "format": format}).is_success
    assert clerk.get(f"{path}/report", params={"format": "pdf"}).status_code == 400


def test_the_preview_of_a_corrected_report_names_what_does_not_match(clerk: Person) -> None:
    """And takes the encoding of the file, which the fix is then read in."""
    path = clerk.submit(b"sku,title\nE1,\nE2,\nE3,\n")
    content = "sku,title,_row\nE1,Größe,1\nE2,,2\nE9,x,9\nE1,twice,1\n".encode("cp1250")
    preview = text_of(clerk.drop(f"{path}/fix/preview", content, filename="x.csv", encoding="Windows-1250").text)
    assert "2 of 4 rows match rejected records and will replace them. 1 has changes; the others" in preview
    assert "2 rows name a record that is not rejected" in preview
    assert "_row 9 , 1 ." in preview
    assert "title empty Größe" in preview
    bad = clerk.drop(f"{path}/fix/preview", content, filename="x.csv", encoding="nonsense")
    assert (bad.status_code, "parameter_invalid" in bad.text) == (400, True)
    clerk.drop(f"{path}/fix", content, filename="x.csv", encoding="Windows-1250")
    clerk.gate.shop.work()
    item = clerk.gate.shop.store.item(clerk.merchant, Kind.PRODUCT, "products", "E1")
    assert item is not None
    assert orjson.loads(item.document)["title"] == "Größe"


def test_a_batch_can_be_retried_or_cancelled(clerk: Person) -> None:
    """Records pass a retry after their brand was loaded; a queued batch can be cancelled."""
    store = clerk.gate.shop.store
    store.put_reference(clerk.merchant, "brand", [ReferenceEntry(code="Other")])
    path = clerk.submit(b"sku,title,brand\nB1,Tent,Acme\n", references="refuse")
    assert "1 rejected" in text_of(clerk.get(path).text)
    store.put_reference(clerk.merchant, "brand", [ReferenceEntry(code="Acme")])
    clerk.fill(f"{path}/retry", path)
    clerk.gate.shop.work()
    assert "✓ clean" in text_of(clerk.get(path).text)
    waiting = clerk.drop(f"{clerk.base}/submit", DIRTY, filename="x.csv").headers["x-location"]
    behind = clerk.drop(f"{clerk.base}/submit", DIRTY, filename="y.csv").headers["x-location"]
    assert "behind another batch" in text_of(clerk.get(behind).text)
    clerk.fill(f"{waiting}/cancel", waiting)
    clerk.gate.shop.work()
    assert "⊘ cancelled" in text_of(clerk.get(waiting).text)


def test_withheld_deletions_are_confirmed(clerk: Person) -> None:
    """Only the number of deletions that the page shows is accepted."""
    clerk.submit(b"sku,title\n" + b"".join(b"K%d,Tent\n" % number for number in range(10)))
    path = clerk.submit(b"sku,title\nK0,Tent\n", mode="full")
    page = clerk.get(path).text
    assert "9 deletions need confirmation" in text_of(page)
    wrong = clerk.fill(f"{path}/confirm", path, deletions="8")
    assert (wrong.status_code, "confirmation_mismatch" in wrong.text) == (409, True)
    clerk.fill(f"{path}/confirm", path, deletions="9")
    clerk.gate.shop.work()
    assert "9 deleted" in text_of(clerk.get(path).text)


def test_scripts_in_a_feed_are_shown_as_text(clerk: Person, operator: Person) -> None:
    """Names, columns, values, keys and messages are escaped on every page that shows them."""
    column = f"x {SCRIPT}".replace('"', '""')
    content = f'sku,title,ean,"{column}"\n"{SCRIPT.replace(chr(34), chr(34) * 2)}",,x,"y"\nS1,"{column}",,"{column}"\n'
    path = clerk.submit(content.encode(), filename=f"{SCRIPT}.csv")
    preview = clerk.drop(f"{clerk.base}/submit/preview", content.encode(), filename=f"{SCRIPT}.csv", whole="true")
    validation = clerk.drop(f"{clerk.base}/submit/validate", content.encode(), filename=f"{SCRIPT}.csv")
    clerk.gate.shop.store.put_reference(clerk.merchant, "brand", [ReferenceEntry(code=SCRIPT, name=SCRIPT,
        parent=SCRIPT)])
    pages = [preview, validation, *(clerk.get(address, params=params) for address, params in (
        ("/console/batches", {}), ("/console/batches", {"q": SCRIPT}), (path, {}), (f"{path}/records", {}),
        (f"{clerk.base}/catalogue/product/products", {}), (f"{clerk.base}/catalogue/product/products", {"q": SCRIPT}),
        (f"{clerk.base}/catalogue/product/products/item", {"key": "S1"}), (f"{clerk.base}/reference", {}),
        (f"{clerk.base}/reference/brand", {"q": "script"}), (f"{clerk.base}/reference/brand/usage", {"code": SCRIPT}),
        (f"{clerk.base}/catalogue/product/products/item", {"key": SCRIPT}), ("/console/sign-in", {"next": SCRIPT}),
    )), operator.get("/console/batches"), operator.get("/console/health")]
    for page in pages:
        tags = _tags(page.text)
        assert "img" not in {name for name, _ in tags}, page.url
        assert all(attributes.get("src", "").startswith("/console/static/") for name, attributes in tags
                   if name == "script"), page.url
        assert not [name for _, attributes in tags for name in attributes if name.startswith("on")], page.url
    assert "&lt;script&gt;" in pages[4].text


def _tags(page: str) -> list[tuple[str, dict[str, str]]]:
    """Return the tags of a page with their attributes."""
    tags: list[tuple[str, dict[str, str]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, {name: value or "" for name, value in attrs}))

    Tags().feed(page)
    return tags


def test_the_event_stream_reports_changes(clerk: Person) -> None:
    """An event carries no data; the page reloads its fragment."""
    with clerk.stream("GET", "/console/changes") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        lines = events.iter_lines()
        received = [line for line in (next(lines) for _ in range(5)) if line]
        assert received == ["retry: 3000", "event: change", "data: -"], "one at the start"
        clerk.gate.shop.send([{"id": "A", "title": "x"}], merchant=clerk.merchant)
        received = [line for line in (next(lines) for _ in range(3)) if line]
    assert received == ["event: change", "data: -"]


@pytest.mark.parametrize("path", ["batches/0", "batches/x/records", "batches/0/report", "catalogue/x/y"])
def test_an_unknown_object_gives_an_error_page(clerk: Person, path: str) -> None:
    """The page shows the error and the request id."""
    answer = clerk.get(f"{clerk.base}/{path}")
    assert answer.status_code == 404
    assert "<h1>" in answer.text
    assert answer.headers["x-request-id"] in answer.text


def test_unsupported_methods_and_unknown_files_are_refused(clerk: Person) -> None:
    """Some paths accept only GET, others only POST."""
    assert clerk.get("/console/sign-out").status_code == 405
    assert clerk.post("/console/batches", data={"csrf": csrf(clerk.get("/console/batches").text)}).status_code == 405
    assert clerk.get("/console/static/nothing.js").status_code == 404
    assert clerk.get("/console/static/../__init__.py").status_code == 404


def test_static_files_are_cached_for_good(gate: HttpGate, clerk: Person) -> None:
    """Their URLs change with their content, and nothing comes from other hosts."""
    page = clerk.get("/console/health").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert not [address for address in addresses if not address.startswith(("/", "#"))]
    for address in (address for address in addresses if "/static/" in address):
        answer = gate.anonymous().get(address)
        assert answer.is_success
        assert "immutable" in answer.headers["cache-control"]


def test_a_batch_says_what_its_records_wait_for(clerk: Person) -> None:
    """With the records to download, and a way to end the wait."""
    path = clerk.submit(b"sku,title,brand\nA,Shirt,Acme\nB,Cap,Acme\n", references="wait", waiting_hours="1.5")
    page = clerk.get(path).text
    assert "2 records wait for what they refer to. They are applied when that arrives." in text_of(page)
    assert "brand Acme × 2" in text_of(page)
    assert f"{path}/report?only=waiting" in page
    clerk.fill(f"{path}/cancel", path)
    clerk.gate.shop.work()
    assert "2 cancelled" in text_of(clerk.get(path).text)
