"""Rules in the console: tried on real batches, saved, shown with what they did, deleted."""

from tests.console.conftest import Person, text_of

FEED = b"sku,title,price\nA1,Trail shoe,7.90 EUR\nA2,Tent,0.50 EUR\nA3,Lamp,0.70 EUR\n"
CHEAP = {"name": "cheap", "expression": "amount(record.price) >= 1.0", "message": "The price is below 1.00."}


def test_a_rule_is_tried_before_it_is_saved_and_then_rejects(clerk: Person) -> None:
    """The trial changes nothing; a shadow rule is told with its batch, and a rule that is on rejects."""
    clerk.submit(FEED)
    path = f"{clerk.base}/rules"
    assert "No rules yet" in clerk.get(path).text
    tried = clerk.fill(path, path, **CHEAP, action="try")
    assert "The rule would have rejected 2 of 3 records in 1 batch. For example: A2 , A3 ." in text_of(tried.text)
    assert CHEAP["message"] in tried.text
    assert "No rules yet" in clerk.get(path).text
    saved = clerk.fill(path, path, **CHEAP, action="save", mode="shadow")
    assert (saved.status_code, saved.url.path) == (200, f"{path}/cheap")
    assert "Version 1" in text_of(saved.text)
    batch = clerk.get(clerk.submit(FEED)).text
    assert "Rule cheap would have rejected 2 records." in text_of(batch)
    assert "would have rejected 2" in text_of(clerk.get(path).text)
    clerk.fill(path, f"{path}/cheap", **CHEAP, action="save", mode="on")
    batch = clerk.get(clerk.submit(FEED))
    assert '2 records break the rule "cheap"' in text_of(batch.text)
    records = clerk.get(f"{batch.url.path}/records", params={"code": "rule.cheap", "field": "/price"})
    assert ("0.70 EUR" in records.text, 'href="/docs/issues#rule"' in records.text) == (True, True)
    gone = clerk.fill(path, f"{path}/cheap", name="cheap", action="delete")
    assert "No rules yet" in gone.text
    assert clerk.get(f"{path}/cheap").status_code == 404


def test_a_rule_that_cannot_be_used_is_shown_again(clerk: Person) -> None:
    """With what was entered, and what is wrong with it."""
    path = f"{clerk.base}/rules"
    for fields, reason in (
        ({"expression": "record.title =="}, "at character"), ({"schema": "{"}, "not JSON"), ({}, "exactly one"),
        ({"expression": "true", "severity": "loud"}, "loud"), ({"code": "sku_missing"}, "cannot be set"),
    ):
        answer = clerk.fill(path, path, name="it", action="save", **fields)
        assert (answer.status_code, reason in text_of(answer.text)) == (422, True), reason
    assert "{" in answer.text
    answer = clerk.fill(path, path, name="../it", action="save", expression="true")
    assert (answer.status_code, "Give the rule a name" in answer.text) == (422, True)
    saved = clerk.fill(path, path, name="it", action="save", schema='{"required": ["brand"]}', severity="warning")
    assert "&#34;brand&#34;" in saved.text
