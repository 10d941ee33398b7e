import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { RuntimeError } from "../../../src/errors.ts";
import { add, Graph, matMul, mul } from "../../../src/graph/index.ts";
import { compileGraph, defaultCacheDir } from "../../../src/runtime/compile-cache.ts";
import { temporaryFolder } from "../../support/fixtures.ts";

/** Rows of the weight, so that it is too large to stand in the model file itself. */
const ROWS = 256;
const COLUMNS = 64;

/** `(x W) op x` with a weight that counts how often its bytes were asked for. */
function smallGraph(op: typeof add = add): { graph: Graph; asked: () => number } {
  let asked = 0;
  const graph = new Graph("small");
  const x = graph.input("x", "float32", ["rows", ROWS]);
  const weight = graph.initializer("weight", "float32", [ROWS, COLUMNS], () => {
    asked++;
    return new Uint8Array(Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => i).buffer);
  });
  const product = matMul(x, weight);
  graph.output("y", op(product, product));
  return { graph, asked: () => asked };
}

const HASH = "ab".repeat(32);
const temporaries = (folder: string): string[] => readdirSync(folder).filter((name) => name.includes(".tmp-"));

test("a graph is written once: the second time no weight is asked for", (t) => {
  const cacheDir = temporaryFolder(t);
  const first = smallGraph();
  const path = compileGraph(first.graph, { cacheDir, weightsHash: HASH });
  assert.equal(first.asked(), 1);
  assert.deepEqual(readdirSync(dirname(path)).sort(), ["manifest.json", "model.onnx", "weights.bin"]);
  const weights = readFileSync(join(dirname(path), "weights.bin"));
  assert.deepEqual(
    new Float32Array(new Uint8Array(weights).buffer).slice(0, ROWS * COLUMNS),
    Float32Array.from({ length: ROWS * COLUMNS }, (_, i) => i),
  );
  const second = smallGraph();
  assert.equal(compileGraph(second.graph, { cacheDir, weightsHash: HASH }), path);
  assert.equal(second.asked(), 0);
  assert.deepEqual(temporaries(cacheDir), []);
});

test("other weights and another graph have folders of their own", (t) => {
  const cacheDir = temporaryFolder(t);
  const paths = [
    compileGraph(smallGraph().graph, { cacheDir, weightsHash: HASH }),
    compileGraph(smallGraph().graph, { cacheDir, weightsHash: "cd".repeat(32) }),
    compileGraph(smallGraph(mul).graph, { cacheDir, weightsHash: HASH }),
  ];
  assert.equal(new Set(paths).size, 3);
});

for (const [what, damage] of [
  ["a data file that is too short", (folder: string) => truncateSync(join(folder, "weights.bin"), 100)],
  ["a model file that is too short", (folder: string) => truncateSync(join(folder, "model.onnx"), 10)],
  ["a manifest that is no JSON", (folder: string) => writeFileSync(join(folder, "manifest.json"), "{")],
  ["an empty folder", (folder: string) => readdirSync(folder).forEach((name) => truncateSync(join(folder, name), 0))],
] as const)
  test(`${what} is written anew`, (t) => {
    const cacheDir = temporaryFolder(t);
    const path = compileGraph(smallGraph().graph, { cacheDir, weightsHash: HASH });
    const whole = readFileSync(path);
    damage(dirname(path));
    const again = smallGraph();
    assert.equal(compileGraph(again.graph, { cacheDir, weightsHash: HASH }), path);
    assert.equal(again.asked(), 1);
    assert.deepEqual(readFileSync(path), whole);
    assert.ok(readFileSync(join(dirname(path), "weights.bin")).length >= ROWS * COLUMNS * 4);
  });

test("what a process that is gone left half written is removed, what a living one writes is not", (t) => {
  const cacheDir = temporaryFolder(t);
  const { pid: gone } = spawnSync(process.execPath, ["-e", ""]);
  const abandoned = join(cacheDir, `small-0123.tmp-${gone}-abc`);
  const living = join(cacheDir, `small-0123.tmp-${process.pid}-abc`);
  const foreign = join(cacheDir, "notes.tmp");
  for (const folder of [abandoned, living, foreign]) mkdirSync(folder);
  writeFileSync(join(abandoned, "weights.bin"), "half");
  compileGraph(smallGraph().graph, { cacheDir, weightsHash: HASH });
  assert.deepEqual([abandoned, living, foreign].map(existsSync), [false, true, true]);
});

test("a weight that cannot be read leaves nothing behind and says which graph failed", (t) => {
  const cacheDir = temporaryFolder(t);
  const graph = new Graph("broken");
  const x = graph.input("x", "float32", ["rows", ROWS]);
  const weight = graph.initializer("weight", "float32", [ROWS, COLUMNS], () => {
    throw new Error("the disk is gone");
  });
  graph.output("y", matMul(x, weight));
  assert.throws(
    () => compileGraph(graph, { cacheDir, weightsHash: HASH }),
    (error) =>
      error instanceof RuntimeError &&
      error.message === `${cacheDir}: cannot write the compiled graph broken: the disk is gone` &&
      error.cause instanceof Error,
  );
  assert.deepEqual(readdirSync(cacheDir), []);
});

// The tests may run as root, whom permissions do not stop: a file in the way stops everybody.
test("a cache folder that cannot be made is a RuntimeError that names it", (t) => {
  const inTheWay = join(temporaryFolder(t), "file");
  writeFileSync(inTheWay, "");
  for (const cacheDir of [inTheWay, join(inTheWay, "below")])
    assert.throws(
      () => compileGraph(smallGraph().graph, { cacheDir, weightsHash: HASH }),
      (error) => error instanceof RuntimeError && error.message.startsWith(`${cacheDir}: cannot write the compiled`),
    );
});

test("progress ends at the bytes of all weights", (t) => {
  const seen: [number, number][] = [];
  compileGraph(smallGraph().graph, {
    cacheDir: temporaryFolder(t),
    weightsHash: HASH,
    onProgress: (written, total) => seen.push([written, total]),
  });
  const total = ROWS * COLUMNS * 4;
  assert.deepEqual(seen.at(-1), [total, total]);
  assert.ok(seen.every(([written], i) => i === 0 || written >= seen[i - 1]![0]));
});

test("RGE_CACHE goes before XDG_CACHE_HOME, and that before the home folder", (t) => {
  const before = { RGE_CACHE: process.env["RGE_CACHE"], XDG_CACHE_HOME: process.env["XDG_CACHE_HOME"] };
  t.after(() => {
    for (const [name, value] of Object.entries(before))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });
  process.env["XDG_CACHE_HOME"] = "/xdg";
  process.env["RGE_CACHE"] = "/own";
  assert.equal(defaultCacheDir(), "/own");
  delete process.env["RGE_CACHE"];
  assert.equal(defaultCacheDir(), "/xdg/rge");
  delete process.env["XDG_CACHE_HOME"];
  assert.match(defaultCacheDir(), /\.cache\/rge$/);
});
