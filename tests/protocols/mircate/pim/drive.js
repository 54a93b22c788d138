// Drives product information with the platform's own client, as its documentation has it; prints what it was answered.
// node drive.js <bundle> <host:port> <project> <key>

const [bundle, url, project, key] = process.argv.slice(2);

// The published bundle is made for browsers; all that it wants of one are these names.
globalThis.self = globalThis;
globalThis.window = globalThis;

const Retter = require(bundle);
const sdk = Retter.getInstance({ projectId: "5p1hp1d2t", url });
const headers = { "x-api-key": key };

async function told(call) {
  try {
    const { status, data } = await call;
    return { status, data };
  } catch (thrown) {
    const response = (thrown.responseError || thrown).response;
    if (!response) throw thrown;
    return { status: response.status, data: response.data };
  }
}

const pim = (method, body, httpMethod = "post") =>
  told(sdk.makeStaticCall({ classId: "PIMAPI", method, pathParams: project, httpMethod, headers, body }));

async function job(batchId) {
  const batch = await sdk.getCloudObject({ classId: "MerchantImportJob", instanceId: batchId, useLocal: true });
  for (;;) {
    const answer = await told(batch.call({ method: "checkBatchStatus", httpMethod: "get", headers }));
    if (answer.status !== 200 || ["DONE", "FAILED"].includes(answer.data.batchStatus)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function main() {
  const product = (sku, title) => ({
    dataType: "PRODUCT",
    data: { sku, family: "shirts", status: "DRAFT", attributes: [{ code: "title", data: [{ value: title }] }] },
  });
  const steps = {};
  steps.settings = await pim("getProductSettings", undefined, "get");
  steps.upserted = await pim("upsertProduct", product("s1", "Çay"));
  steps.refused = await pim("upsertProduct", product("s2", "much too long"));
  steps.bulk = await pim("bulkProductUpsert", { products: [product("s3", "Three"), product("s4", "much too long")] });
  steps.job = await job(steps.bulk.data.batchId);
  steps.status = await pim("checkBatchStatus", { batchId: steps.bulk.data.batchId });
  steps.posted = await pim("getProducts", { filters: { dataType: "PRODUCT" }, sorts: { id: "desc" }, source: false });
  steps.got = await pim("getProducts", { filters: { idList: ["s1"] } }, "get");
  steps.deleted = await pim("deleteProduct", { id: "s3" });
  steps.denied = await told(sdk.makeStaticCall({ classId: "PIMAPI", method: "getProducts", pathParams: project }));
  console.log(JSON.stringify(steps));
  process.exit(0);
}

main().catch((thrown) => {
  console.error(thrown);
  process.exit(1);
});
