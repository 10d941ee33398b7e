import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { VectorCache, type KeptItem } from "../../../src/eval/vector-cache.ts";

const root = mkdtempSync(join(tmpdir(), "rge-vectors-"));
after(() => rmSync(root, { recursive: true, force: true }));

const KEYS = ["a", "b", "c"].map((digit) => digit.repeat(64));

function itemOf(numbers: readonly number[], rationale = ""): KeptItem {
  return { embedding: Float32Array.from(numbers), rationale, rationaleTokens: 2, finish: "emb", promptTokens: 7 };
}

function base64(numbers: readonly number[]): string {
  return Buffer.from(Float32Array.from(numbers).buffer).toString("base64");
}

async function opened(folder: string, hidden = 2): Promise<{ cache: VectorCache; told: string[] }> {
  const told: string[] = [];
  const cache = await VectorCache.open(folder, hidden, (file, reason) => told.push(`${file}: ${reason}`));
  return { cache, told };
}

test("what was put is there again, to the last bit", async () => {
  const folder = join(root, "whole/of/it");
  const item = itemOf([Math.fround(0.6), Math.fround(0.8)], 'he said "\u2028<emb>"\n');
  const { cache } = await opened(folder);
  await cache.put(new Map([[KEYS[0]!, item]]));
  await cache.put(new Map([[KEYS[1]!, itemOf([0, 1])]]));
  const again = await opened(folder);
  assert.deepEqual(again.told, []);
  assert.deepEqual(again.cache.get(KEYS[0]!), item);
  assert.deepEqual(again.cache.get(KEYS[1]!)?.embedding, Float32Array.of(0, 1));
  assert.equal(again.cache.get(KEYS[2]!), undefined);
});

test("a file that was cut, or holds what no model gives, is told and not used", async () => {
  const whole = join(root, "good");
  await (await opened(whole)).cache.put(new Map([[KEYS[0]!, itemOf([1, 0])]]));
  const line = readFileSync(join(whole, readdirSync(whole)[0]!), "utf8");
  for (const [text, reason] of [
    [line.slice(0, -1), /line 1 is cut off/],
    [`${line}${line.slice(0, 50)}`, /line 2 is cut off/],
    [line.replace(base64([1, 0]), base64([0, 0])), /length 0, expected 1/],
    [line.replace(base64([1, 0]), base64([Number.NaN, 0])), /length NaN, expected 1/],
    [line.replace(base64([1, 0]), base64([1, 0, 0])), /3 numbers, the model's embeddings have 2/],
    [line.replace(KEYS[0]!, "short"), /key/],
    [line.replace('"finish":"emb"', '"finish":"soon"'), /finish/],
  ] as const) {
    const folder = mkdtempSync(join(root, "bad-"));
    writeFileSync(join(folder, "x.jsonl"), text);
    const { cache, told } = await opened(folder);
    assert.equal(told.length, 1, text);
    assert.match(told[0]!, reason);
    assert.equal(cache.get(KEYS[0]!), undefined);
  }
});

test("what a killed process left half written is not read, and goes when it is a day old", async () => {
  const folder = mkdtempSync(join(root, "parts-"));
  for (const name of ["old.part", "new.part"]) writeFileSync(join(folder, name), "{");
  utimesSync(join(folder, "old.part"), new Date(), new Date(Date.now() - 25 * 3600 * 1000));
  const { told } = await opened(folder);
  assert.deepEqual(told, []);
  assert.deepEqual(readdirSync(folder), ["new.part"]);
});

test("a cache in memory writes nothing", async () => {
  const cache = VectorCache.inMemory();
  await cache.put(new Map([[KEYS[0]!, itemOf([1, 0])]]));
  assert.deepEqual(cache.get(KEYS[0]!)?.embedding, Float32Array.of(1, 0));
});
