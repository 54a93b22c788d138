// Generates types from contracts, checks calls.ts against them, and runs it: node generated.mjs DOCUMENT.json…  -- ARGUMENTS
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const end = process.argv.indexOf("--");
for (const path of process.argv.slice(2, end)) {
  const types = astToString(await openapiTS(pathToFileURL(path)));
  writeFileSync(basename(path).replace(".json", ".ts"), types);
}
const options = {
  strict: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext,
};
const program = ts.createProgram(["calls.ts"], options);
const problems = ts.getPreEmitDiagnostics(program);
if (problems.length) {
  const host = { getCanonicalFileName: (name) => name, getCurrentDirectory: () => ".", getNewLine: () => "\n" };
  console.error(ts.formatDiagnostics(problems, host));
  process.exit(1);
}
program.emit();
process.argv.splice(2, end - 1);
await import(pathToFileURL("calls.js"));
