// Calls a gate by the TypeScript client: node calls.mjs URL KEY
import { openAsBlob, writeFileSync } from "node:fs";
import { GoodsgateClient } from "./dist/index.js";

const [url, key] = process.argv.slice(2);
const client = new GoodsgateClient({ url, key });

function* products(count) {
  for (let number = 1; number <= count; number++) {
    yield { sku: `N-${String(number).padStart(5, "0")}`, title: `Cup ${number}`, description: "x".repeat(100) };
  }
}

async function collect(rows) {
  const collected = [];
  for await (const row of rows) collected.push(row);
  return collected;
}

const seen = [];
const accepted = await client.submit(products(2000), { label: "from node" });
const records = await client.wait(accepted, { onProgress: ({ state }) => seen.push(state) });
if (seen.at(-1) !== "finished") throw new Error(`progress: ${seen}`);
const items = await collect(client.items());
const searched = await collect(client.items("products", { q: "cup 1999" }));
const changes = await collect(client.changes({ kind: "product" }));
const later = await collect(client.changes({ after: changes.at(-2).cursor, collection: "products" }));
const { data: listing } = await client.api.GET("/v1/batches");

writeFileSync("feed.csv", "sku;title;price\nA-1;Cup;7.90 EUR\nA-2;Pot;on request\n");
const file = await client.wait(await client.submit(await openAsBlob("feed.csv"), { collection: "file", delimiter: "semicolon" }));
const issues = await collect(client.issues(file, { severity: "error" }));
const report = await (await client.report(file)).text();
const fixed = await client.wait(await client.fix(file, report.replace("on request", "3.00 EUR")));
const refused = await client.batch("0".repeat(32)).catch((error) => error);
const { data: collections } = await client.api.GET("/v1/collections");

console.log(JSON.stringify({
  records: { state: records.state, created: records.counts.created, label: records.label },
  items: items.length, searched: searched.map(({ key }) => key), batches: listing.batches.length,
  file: { outcome: file.outcome, rejected: file.counts.rejected },
  issues: issues.map(({ code }) => code), fixed: fixed.outcome,
  changes: [changes.length, changes[0].operation, changes[0].after.title, later.length],
  refused: { name: refused.name, status: refused.status, code: refused.code },
  collections: collections.collections.map(({ collection }) => collection).sort(),
}));
