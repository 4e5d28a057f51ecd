// The official TypeScript SDK and the inspector's command line ask a server.
//
//     node typescript.mjs MODULES AKIN INDEX URL
//
// MODULES is a node_modules with @modelcontextprotocol/sdk and, for the inspector, @modelcontextprotocol/inspector. AKIN is the
// program, INDEX an index that it may change, URL a server of an index of the same name that it may change too. Prints `ok`.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

const [modules, akin, index, url] = process.argv.slice(2);
const from = createRequire(join(resolve(modules), "here.js"));
const load = (name) => import(pathToFileURL(from.resolve(`@modelcontextprotocol/sdk/${name}`)).href);
const { Client } = await load("client/index.js");
const { StdioClientTransport } = await load("client/stdio.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");

const transports = {
  stdio: () => new StdioClientTransport({ command: akin, args: ["mcp", index, "--writable"], stderr: "ignore" }),
  http: () => new StreamableHTTPClientTransport(new URL("/mcp", url)),
};

async function askAll(name, transport) {
  const client = new Client({ name: "akin-test", version: "1" });
  const said = [];
  client.onerror = (error) => said.push(String(error));
  await client.connect(transport);
  assert.equal(typeof client.getServerVersion().name, "string");
  const { tools } = await client.listTools();
  const names = tools.map((tool) => tool.name).sort();
  assert.deepEqual(names, ["delete", "fetch", "search", "status", "store"], name);
  for (const tool of tools) assert.equal(tool.inputSchema.type, "object");
  assert.equal(tools.find((tool) => tool.name === "search").annotations.readOnlyHint, true);
  const call = async (name, args) => client.callTool({ name, arguments: args });
  // The client checks what is structured against the schema that the tool gave.
  const stored = await call("store", { text: "A comet crosses the night sky.", id: `comet-${name}`, title: "Comet" });
  assert.ok(!stored.isError, JSON.stringify(stored));
  const found = await call("search", { query: "a comet at night", limit: 3 });
  assert.ok(!found.isError, JSON.stringify(found));
  assert.deepEqual(JSON.parse(found.content[0].text), found.structuredContent);
  const first = found.structuredContent.results[0];
  assert.ok(first.id.includes("comet-"), JSON.stringify(first));
  const document = await call("fetch", { id: first.id });
  assert.equal(document.structuredContent.text, "A comet crosses the night sky.");
  const status = await call("status", {});
  assert.ok(!status.isError, JSON.stringify(status));
  const wrong = await call("search", { query: "a", colour: "red" });
  assert.ok(wrong.isError && wrong.content[0].text.includes("colour"), JSON.stringify(wrong));
  await assert.rejects(call("unheard", {}));
  const { resources } = await client.listResources();
  assert.ok(resources.length > 0);
  const { contents } = await client.readResource({ uri: resources[0].uri });
  assert.ok(contents[0].text.length > 0);
  await client.listResourceTemplates();
  await client.ping();
  const deleted = await call("delete", { id: `comet-${name}` });
  assert.ok(!deleted.isError, JSON.stringify(deleted));
  await client.close();
  assert.deepEqual(said.filter((line) => !line.includes("AbortError")), [], name);
}

async function inspect() {
  const manifest = join(resolve(modules), "@modelcontextprotocol/inspector/package.json");
  if (!existsSync(manifest)) { console.error("the inspector is not there, and was not run"); return; }
  const program = join(resolve(modules), ".bin/mcp-inspector");
  const run = async (target, ...rest) => {
    const { stdout } = await promisify(execFile)(program, ["--cli", ...target, ...rest], { env: { ...process.env, CI: "1" } });
    return JSON.parse(stdout);
  };
  for (const target of [[akin, "mcp", index], [new URL("/mcp", url).href, "--transport", "http"]]) {
    const { tools } = await run(target, "--method", "tools/list");
    assert.ok(tools.some((tool) => tool.name === "search"), JSON.stringify(tools));
    const found = await run(target, "--method", "tools/call", "--tool-name", "search", "--tool-arg", "query=the night", "--tool-arg", "limit=2");
    assert.ok(!found.isError && found.structuredContent.results.length > 0, JSON.stringify(found));
    const { resources } = await run(target, "--method", "resources/list");
    assert.ok(resources.length > 0);
  }
}

for (const [name, open] of Object.entries(transports)) await askAll(name, open());
await inspect();
console.log("ok");
