/** What is published is compiled JavaScript: it must run without type stripping, from wherever it is installed. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

const ROOT = join(import.meta.dirname, "../..");
const CHECKPOINT = join(ROOT, "test/fixtures/qwen2_5_vl/checkpoint");
let work: string;

before(() => {
  work = mkdtempSync(join(tmpdir(), "rge-package-"));
  execFileSync(process.execPath, [join(ROOT, "scripts/build.ts"), join(work, "dist")]);
  cpSync(join(ROOT, "package.json"), join(work, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(work, "node_modules"));
  cpSync(join(ROOT, "models"), join(work, "models"), { recursive: true });
});
after(() => rmSync(work, { recursive: true, force: true }));

test("the compiled command line embeds with the tiny checkpoint", () => {
  const main = join(work, "dist/cli/main.js");
  const args = [
    "embed",
    "--model",
    CHECKPOINT,
    "--text",
    "a cat\n",
    "--role",
    "target",
    "--json",
    "--cache-dir",
    join(work, "cache"),
  ];
  const line = execFileSync(process.execPath, [main, ...args], { encoding: "utf8" });
  const result = JSON.parse(line) as { embedding: number[]; finish: string };
  assert.equal(result.embedding.length, 64);
  assert.equal(result.finish, "direct");
});

test("the model that comes with the package is found beside the compiled files, and is small", () => {
  const { files } = JSON.parse(readFileSync(join(work, "package.json"), "utf8")) as { files: string[] };
  assert.ok(files.includes("models"));
  const sizes = readdirSync(join(work, "models/nano")).map((name) => statSync(join(work, "models/nano", name)).size);
  assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= 14 * 2 ** 20);
  const args = ["embed", "--text", "What is it?\n", "--json", "--cache-dir", join(work, "cache")];
  const line = execFileSync(process.execPath, [join(work, "dist/cli/main.js"), ...args], { encoding: "utf8" });
  assert.equal((JSON.parse(line) as { embedding: number[] }).embedding.length, 192);
});

test("the compiled command line trains, its preparing thread included", () => {
  const row = { qry: "a cat\n", pos_text: "cat\n", rationale: "A cat." };
  const rows = ["cat", "dog", "bird", "fish"].map((name) => ({ ...row, pos_text: `${name}\n` }));
  writeFileSync(join(work, "rows.jsonl"), rows.map((it) => `${JSON.stringify(it)}\n`).join(""));
  const data = [{ name: "rows", path: "rows.jsonl" }];
  const settings = { model: CHECKPOINT, output: "run", data, steps: 1, batchSize: 4, maxNewTokens: 2 };
  writeFileSync(join(work, "train.json"), JSON.stringify(settings));
  const main = join(work, "dist/cli/main.js");
  const line = execFileSync(process.execPath, [main, "train", join(work, "train.json"), "--json"], {
    encoding: "utf8",
  });
  assert.equal((JSON.parse(line) as { finished: boolean }).finished, true);
});

test("every entry that package.json exports can be imported by its public name", () => {
  const { exports } = JSON.parse(readFileSync(join(work, "package.json"), "utf8")) as { exports: object };
  const names = Object.keys(exports).map((name) => `rge${name.slice(1)}`);
  const script = join(work, "use.mjs");
  writeFileSync(script, names.map((name) => `console.log(Object.keys(await import("${name}")).join());\n`).join(""));
  const lines = execFileSync(process.execPath, [script], { encoding: "utf8" }).trimEnd().split("\n");
  assert.equal(lines.length, names.length);
  for (const [i, expected] of [
    "Embedder",
    "Graph",
    "train",
    "Searcher",
    "MemoryStore",
    "LanceStore",
    "createServer",
    "createRge",
    "RgeVectorStore",
  ].entries())
    assert.ok(lines[i]!.split(",").includes(expected), `${names[i]}: ${lines[i]}`);
});

test("the page is beside the compiled server", () => {
  for (const name of ["index.html", "main.js", "style.css"])
    assert.ok(readFileSync(join(work, "dist/server/page", name)).length > 0, name);
});

test("package.json names only files that the build makes", () => {
  const { bin, exports } = JSON.parse(readFileSync(join(work, "package.json"), "utf8")) as {
    bin: Record<string, string>;
    exports: Record<string, Record<string, string>>;
  };
  for (const path of [...Object.values(bin), ...Object.values(exports).flatMap((entry) => Object.values(entry))])
    assert.ok(readFileSync(join(work, path)).length > 0, path);
});
