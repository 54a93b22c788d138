// calls.ts: calls a gate of each protocol by a typed client; its types are generated from the contracts that the gate serves.
import createClient from "openapi-fetch";
import type { paths as Native } from "./native.js";
import type { paths as Konnect } from "./konnect.js";
import type { paths as Productsup } from "./productsup.js";
import type { paths as JustWalkOut } from "./justwalkout.js";
import type { paths as Mircate } from "./mircate.js";

declare const process: { argv: string[] };
const [baseUrl, native, konnect, productsup, mircate, merchant] = process.argv.slice(2);

async function stock() {
  const client = createClient<Mircate>({ baseUrl, headers: { "x-api-key": mircate } });
  const path = { project: "5p1hp1d2t", instance: merchant };
  const sent = await client.POST("/{project}/CALL/MerchantAPI/receiveStock/{instance}", {
    params: { path }, body: { products: [{ sku: "A-1", channel: "web", stock: 5 }] },
  });
  return sent.data?.batchIds?.length;
}

async function batch() {
  const client = createClient<Native>({ baseUrl, headers: { authorization: `Bearer ${native}` } });
  const sent = await client.POST("/v1/batches", { body: [{ sku: "A-1", title: "Cup" }] });
  if (!sent.data) throw new Error(JSON.stringify(sent.error));
  const read = await client.GET("/v1/batches/{batch}", { params: { path: { batch: sent.data.id }, query: { wait: 30 } } });
  return read.data?.counts?.created;
}

async function departments() {
  const client = createClient<Konnect>({ baseUrl, headers: { "x-access-token": konnect } });
  const { data } = await client.GET("/v3/catalog/departments", { params: { query: { page_size: 1 } } });
  return data?.page_size;
}

async function stream() {
  const client = createClient<Productsup>({ baseUrl, headers: { authorization: `Bearer ${productsup}` } });
  const { data, error } = await client.POST("/streams", {
    body: { data: { type: "stream", attributes: { name: "By TypeScript", type: "chunked" } } },
    headers: { "content-type": "application/vnd.api+json" },
  });
  if (!data) throw new Error(JSON.stringify(error));
  return data.data.attributes.name;
}

async function upload() {
  const client = createClient<JustWalkOut>({ baseUrl });
  const { response } = await client.POST("/v1/catalog/upload", { body: { catalogItems: [] } });
  return response.status; // requests of this protocol are signed
}

console.log(JSON.stringify({
  stock: await stock(), batch: await batch(), departments: await departments(), stream: await stream(),
  upload: await upload(),
}));
