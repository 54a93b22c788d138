"""How well suppliers deliver: the page, its CSV, and the operation of the API."""

import csv

from goodsgate.model.batch import now
from tests.console.conftest import Person, text_of
from tests.console.test_batches import DIRTY


def test_a_scorecard_tells_what_each_supplier_has_delivered(clerk: Person) -> None:
    """By key: share and number of rejected records, issues, the last feed and the weeks; a fix changes nothing."""
    assert "No feed has ended in this time." in clerk.get("/console/scorecard").text
    path = clerk.submit(DIRTY)
    other = clerk.gate.client(clerk.merchant)
    other.submit(b'{"id": "Z1", "title": "Tent"}\n')
    before = clerk.get("/v1/scorecard", headers={"authorization": f"Bearer {other.secret}"}).json()
    clerk.fill(f"{path}/accept-suggestions", path, code="gtin_check_digit", field="/gtin")
    clerk.gate.shop.work()
    document = clerk.get("/v1/scorecard?weeks=2", headers={"authorization": f"Bearer {other.secret}"}).json()
    first, second = document["submitters"]
    assert (first["records"], first["rejected"], first["rejected_share"], first["feeds"]) == (5, 4, 0.8, 1)
    assert {"code": "gtin_check_digit", "count": 2} in first["issues"]
    assert (second["records"], second["rejected"], second["issues"]) == (1, 0, [])
    assert [week["feeds"] for week in first["weeks"]] == [0, 1]
    assert first["weeks"][0]["rejected_share"] is None
    assert [each["rejected"] for each in before["submitters"]] == [4, 0]
    page = clerk.get("/console/scorecard")
    assert "80.0 % 4 5 1 " in text_of(page.text)
    assert "gtin_check_digit × 2" in text_of(page.text)
    assert f"q={first['submitter']}" in page.text
    assert "80.0 % of 5 records rejected" in page.text


def test_a_scorecard_is_downloaded_as_csv(clerk: Person) -> None:
    """A row for each supplier and week."""
    clerk.submit(DIRTY)
    answer = clerk.get("/console/scorecard/csv", params={"weeks": "4"})
    rows = [*csv.DictReader(answer.text.splitlines())]
    assert len(rows) == 4
    assert "attachment" in answer.headers["content-disposition"]
    assert (rows[-1]["records"], rows[-1]["rejected"], rows[-1]["rejected_share"]) == ("5", "4", "0.8000")
    assert rows[-1]["last_feed_at"].startswith(str(now().year))
    assert "gtin_check_digit=2" in rows[-1]["most_frequent_issues"]
    for weeks in ("0", "x", "99"):
        assert clerk.get("/console/scorecard", params={"weeks": weeks}).status_code == 400


def test_admins_see_the_scorecards_of_all_merchants(clerk: Person, operator: Person) -> None:
    """Others only their own."""
    clerk.submit(DIRTY)
    assert f"merchant={clerk.merchant}" in operator.get("/console/scorecard").text
    assert operator.get("/console/scorecard", params={"merchant": clerk.merchant}).status_code == 200
    assert clerk.get("/console/scorecard", params={"merchant": operator.merchant}).status_code == 404
