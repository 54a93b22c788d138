"""A gate with data and a browser that records problems."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from goodsgate.app import create_jobs
from goodsgate.engine.destination_definitions import DestinationChange
from goodsgate.engine.jobs import ClaimedJob
from goodsgate.engine.saved_guards import save_guard
from goodsgate.engine.saved_rules import save_rule
from goodsgate.engine.source_definitions import SOURCE, SourceChange
from goodsgate.model.batch import Kind, Policy, now
from goodsgate.model.catalogue import ReferenceEntry
from goodsgate.model.guard import Guard
from goodsgate.model.record_rule import RecordRule
from goodsgate.model.webhook import WEBHOOK, Webhook, WebhookEvent, WebhookSecret
from goodsgate.remote import RemoteSettings
from tests.http_gate import HttpGate
from tests.shop import Shop, ndjson

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
AXE = Path(__file__).parent / "vendored" / "axe-core-4.14.1.min.js"
WAIT_MILLISECONDS = 60_000

DIRTY = (
    'Kennziffer,Name,Preis,EAN,Farbe\nS-100,Trail shoe,89.00 EUR,4006381333932,red\n'
    'S-101,Road shoe,79.00 EUR,4006381333933,blue\nS-102,Tent for two,"249,00 EUR",,green\nS-103,,12.00 EUR,,grey\n'
    + "".join(f"S-{number},Rope {number} m,{number}.50 EUR,,white\n" for number in range(200, 240))
)
SCRIPT = "<script>alert('x')</script>"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the Chromium of this machine; skip the test if there is none."""
    path = next((found for name in CHROMIUMS if (found := shutil.which(name))), None)
    if path is None:
        reason = f"this machine has none of {', '.join(CHROMIUMS)}"
        print(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


class World:
    """A gate, its worker that tests run step by step, and a browser."""

    def __init__(self, shop: Shop, gate: HttpGate, browser: Browser) -> None:
        self.shop = shop
        self.gate = gate
        self.browser = browser
        self.problems: list[str] = []
        """Errors in the browser, requests to other hosts, and unexpected dialogs."""

    def context(self, **options: Any) -> BrowserContext:
        """Return a new browser context, without cookies."""
        given = {"viewport": {"width": 1280, "height": 860}, "reduced_motion": "reduce", **options}
        context = self.browser.new_context(**given)
        context.set_default_timeout(WAIT_MILLISECONDS)
        context.on("request", self._check_host)
        context.on("page", self._collect_problems)
        return context

    def _check_host(self, request: Any) -> None:
        if not request.url.startswith((self.gate.url, "data:", "blob:")):
            self.problems.append(f"request to {request.url}")

    def _collect_problems(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"error {error}"))
        page.on("console", lambda message: self.problems.append(message.text) if message.type == "error" else None)

    def sign_in(self, page: Page, merchant: str, *scopes: str) -> None:
        """Sign in with a new key."""
        page.goto(f"{self.gate.url}/console")
        page.fill("#key", self.gate.secret(merchant, scopes or ("submit", "read")))
        page.click("button.primary")
        page.wait_for_url("**/console/batches")

    def send(self, label: str, records: bytes | list[dict[str, Any]], *, merchant: str, kind: Kind = Kind.PRODUCT,
             mapping: dict[str, list[str]] | None = None) -> str:
        """Submit records as a client of the API does; return the batch's id."""
        submission = self.shop.engine.submit(
            merchant=merchant, kind=kind, collection="products", policy=Policy(mapping=mapping or {}),
            protocol="native",
            format="csv" if label.endswith(".csv") else "ndjson", label=label,
        )
        submission.write(records if isinstance(records, bytes) else ndjson(records))
        receipt = submission.finish()
        assert receipt.batch is not None
        return receipt.batch.id

    def work_job(self, kind: str, settings: RemoteSettings) -> None:
        """Work a job of sources or destinations that is due, with what the operator allows."""
        handler = create_jobs(self.shop.store, self.shop.config)._handlers[kind]
        feeds = handler._sources if kind == SOURCE else handler._destinations  # type: ignore[attr-defined]
        feeds.settings = settings
        job = self.shop.store.claim_job([kind], lease_seconds=60)
        assert job is not None
        handler.work(ClaimedJob(self.shop.store, job))

    def add_data(self, merchant: str, *, script: str = SCRIPT) -> dict[str, str]:
        """Add catalogue, reference data and batches, one full of scripts; return name → path of every page."""
        shop, of = self.shop, f"/console/merchants/{merchant}"
        store = shop.store
        store.put_reference(merchant, "brand", [ReferenceEntry(code=name, name=name) for name in ("Acme", "Bolt",
            "Größe")])
        store.put_reference(merchant, "category", [
            ReferenceEntry(code="outdoor", name="Outdoor"),
            ReferenceEntry(code="tents", name="Tents", parent="outdoor"),
            ReferenceEntry(code="ropes", name="Ropes", parent="outdoor"), ReferenceEntry(code="home", name="Home"),
        ])
        prices = [{"id": "K-1", "price": "9.99 EUR", "location": place} for place in ("berlin", "lyon")]
        self.send("prices.ndjson", prices, merchant=merchant, kind=Kind.PRICE)
        self.send("stock.ndjson", [{"id": "K-1", "quantity": 5, "location": "berlin"}], merchant=merchant,
                  kind=Kind.STOCK)
        good = [{"id": f"K-{n}", "title": f"Tent {n}", "gtin": "4006381333931", "brand": "Acme"} for n in range(60)]
        self.send("tents.ndjson", good, merchant=merchant)
        scripts = [{"id": f"X-{n}", "title": script, "brand": script, script: script} for n in range(3)]
        scripts.append({"id": "X-9", "title": "", script: script})
        full = self.send(f"{script}.ndjson", scripts, merchant=merchant)
        mapping = {"Kennziffer": ["id"], "Name": ["title"], "Preis": ["price"], "Farbe": ["color"]}
        dirty = self.send("summer.csv", DIRTY.encode(), merchant=merchant, mapping=mapping)
        webhook = Webhook(events=(WebhookEvent.BATCH_FINISHED,), created_at=now(), secrets=(WebhookSecret(name="a"),))
        store.add_resource(
            merchant, WEBHOOK, name="https://shop.example.com/goodsgate", body=msgspec.json.encode(webhook),
            labels=webhook.labels(), resources_max=9,
        )
        dry = shop.send([{"id": "K-1", "title": "Tent"}, {"id": "N-1", "title": script}], merchant=merchant,
                        dry_run=True)
        shop.work()
        self.send("autumn.ndjson", [{"id": "W-1", "title": "Waits"}], merchant=merchant)
        save_rule(store, merchant, "cheap", RecordRule(expression="amount(record.price) >= 1.0", mode="shadow"))
        save_guard(store, merchant, "prices", Guard(hold_if={"prices_halved": "10%", "zero_prices": "1"}))
        sources = self.gate.application.context.services.sources
        sources.settings = RemoteSettings(folders=(Path("/none"),))
        sources.save(merchant, "nightly", SourceChange(
            address="file:///none/*.csv", cron="0 3 * * *", expected_by="04:00", description=script[:500]
        ))
        destinations = self.gate.application.context.services.destinations
        destinations.save(merchant, "google", DestinationChange(
            to="served", profile="google", cron="0 4 * * *", description=script[:500]
        ))
        return {
            "destinations": f"{of}/destinations", "destination": f"{of}/destinations/google",
            "sources": f"{of}/sources", "source": f"{of}/sources/nightly",
            "rules": f"{of}/rules", "rule": f"{of}/rules/cheap",
            "guards": f"{of}/guards", "guard": f"{of}/guards/prices",
            "batches": "/console/batches", "batch": f"{of}/batches/{dirty}",
            "records": f"{of}/batches/{dirty}/records?code=gtin_check_digit&field=/gtin",
            "grid": f"{of}/batches/{dirty}/grid", "grid of scripts": f"{of}/batches/{full}/grid",
            "revert": f"{of}/batches/{dirty}/revert", "diff": f"{of}/batches/{dry}/diff",
            "scripts": f"{of}/batches/{full}/records", "submit": f"{of}/submit", "catalogue": f"{of}/catalogue",
            "items": f"{of}/catalogue/product/products?q=tent", "item": f"{of}/catalogue/product/products/item?key=K-1",
            "reference": f"{of}/reference", "categories": f"{of}/reference/category", "brands": f"{of}/reference/brand",
            "used": f"{of}/reference/brand/usage?code=Acme", "merchants": "/console/merchants",
            "keys": f"/console/merchants/{merchant}", "audit": f"{of}/audit",
            "health": "/console/health", "scorecard": "/console/scorecard",
            "webhooks": f"{of}/webhooks", "webhook": f"{of}/webhooks/1",
        }


def drop(page: Page, selector: str, name: str, content: str | bytes) -> None:
    """Drop a file on an element."""
    data = page.evaluate_handle(
        "([name, content]) => { const data = new DataTransfer();"
        " data.items.add(new File([content], name)); return data; }", [name, content],
    )
    page.dispatch_event(selector, "drop", {"dataTransfer": data})


def violations(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """Return the serious problems that axe finds with all rules, or with those named."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    results = orjson.loads(page.evaluate(
        "async (rules) => JSON.stringify((await axe.run({resultTypes: ['violations'],"
        " ...(rules.length ? {runOnly: rules} : {})})).violations)", list(rules),
    ))
    return [
        f"{each['id']}: {node['html'][:160]} {node['any'][:1] and node['any'][0]['message']}"
        for each in results if each["impact"] in ("serious", "critical") for node in each["nodes"]
    ]
