/** The table of levels (ARCHITECTURE.md): imports go to a strictly lower level or stay in their folder. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const SOURCES = fileURLToPath(new URL("../../src/", import.meta.url));

/** Folder -> level; files at the root of `src/` are level 0, `index.ts` stands above everything. */
const LEVELS: Readonly<Record<string, number>> = {
  "": 0,
  checkpoint: 1,
  graph: 1,
  input: 1,
  nn: 2,
  runtime: 2,
  models: 3,
  embed: 4,
  dataset: 4,
  scenes: 4,
  store: 4,
  search: 5,
  train: 5,
  curate: 5,
  eval: 5,
  client: 6,
  server: 6,
  cli: 7,
};

interface Import {
  readonly file: string;
  /** As written: `../errors.ts`, `sharp`. */
  readonly target: string;
}

/** Files that are published with the page of the server, not run by Node. */
const isModule = (file: string): boolean => !file.startsWith(join("server", "page"));

const files = globSync("**/*.ts", { cwd: SOURCES }).filter(isModule).sort();

/** Every module a text imports: `from "x"`, `import "x"`, `import("x")`, `typeof import("x")`, `require("x")`. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const found = [
    ...code.matchAll(/\bfrom\s*"([^"]+)"/g),
    ...code.matchAll(/\bimport\s*"([^"]+)"/g),
    ...code.matchAll(/\bimport\s*\(\s*"([^"]+)"/g),
    ...code.matchAll(/\)\s*\(\s*"([^"]+)"\s*\)/g),
    ...code.matchAll(/\brequire\s*\(\s*"([^"]+)"/g),
    // A worker's entry is imported by its URL.
    ...code.matchAll(/"(\.\.?\/[^"]+\.ts)"/g),
  ];
  return [...new Set(found.map(([, target]) => target!))];
}

const imports: readonly Import[] = files.flatMap((file) =>
  importsOf(readFileSync(join(SOURCES, file), "utf8")).map((target) => ({ file, target })),
);

function folderOf(file: string): string {
  const [first, ...rest] = file.split(sep);
  return rest.length === 0 ? "" : first!;
}

/** Files of `src/` that import the package `name` or a file of it. */
function importersOf(name: string): string[] {
  return imports
    .filter(({ target }) => target === name || target.startsWith(`${name}/`))
    .map(({ file }) => file)
    .filter((file, i, all) => all.indexOf(file) === i);
}

test("every folder of src/ is in the table of levels", () => {
  const unknown = new Set(files.map(folderOf).filter((folder) => !(folder in LEVELS)));
  assert.deepEqual([...unknown], []);
});

test("imports go to a strictly lower level or stay in their folder", () => {
  const wrong: string[] = [];
  for (const { file, target } of imports) {
    if (!target.startsWith(".") || file === "index.ts") continue;
    const [from, to] = [folderOf(file), folderOf(relative(SOURCES, join(SOURCES, dirname(file), target)))];
    if (from !== to && LEVELS[to]! >= LEVELS[from]!) wrong.push(`${file} -> ${target}`);
  }
  assert.deepEqual(wrong, []);
  assert.ok(imports.length > 100, `only ${imports.length} imports found: the patterns above no longer match`);
});

test("a relative import names a file that is there", () => {
  const known = new Set(files);
  const lost = imports.filter(
    ({ file, target }) => target.startsWith(".") && !known.has(relative(SOURCES, join(SOURCES, dirname(file), target))),
  );
  assert.deepEqual(lost, []);
});

test("only runtime/session.ts imports onnxruntime-node", () => {
  assert.deepEqual(importersOf("onnxruntime-node"), [join("runtime", "session.ts")]);
});

test("one file decodes with sharp, one makes thumbnails with it, and one draws", () => {
  const known = [join("input", "image.ts"), join("input", "thumbnail.ts"), join("scenes", "draw.ts")];
  assert.deepEqual(importersOf("sharp"), known);
});

test("one file reads zips, one reads tars, one reads YAML", () => {
  assert.deepEqual(importersOf("yauzl"), [join("dataset", "unzip.ts")]);
  assert.deepEqual(importersOf("tar"), [join("dataset", "untar.ts")]);
  assert.deepEqual(importersOf("yaml"), [join("eval", "rules.ts")]);
});

test("only graph/onnx.ts knows protobuf, and nobody imports a library for it", () => {
  assert.deepEqual(
    imports.filter(({ target }) => /protobuf|onnx-proto/.test(target)),
    [],
  );
  const knowing = files.filter((file) => /protobuf|ModelProto/i.test(readFileSync(join(SOURCES, file), "utf8")));
  assert.deepEqual(knowing, [join("graph", "onnx.ts")]);
});

test("the patterns see every way of importing", () => {
  const text = [
    'import { a } from "./a.ts";',
    'import type { b } from "b";',
    'export * from "./c.ts";',
    'import "d";',
    'const e = await import("e");',
    'type F = typeof import("f");',
    'createRequire(import.meta.url)("g");',
    'new URL("./h.ts", import.meta.url);',
    'import {\n  i,\n} from "../i.ts";',
    '// import "no";',
    '/* from "no" */',
  ].join("\n");
  assert.deepEqual(importsOf(text).sort(), ["../i.ts", "./a.ts", "./c.ts", "./h.ts", "b", "d", "e", "f", "g"]);
});
