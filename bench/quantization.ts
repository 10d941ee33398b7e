/**
 * What each part's weight format costs in accuracy: cosine to float32 of the hidden state that is pooled, with one part
 * quantised at a time, on the fixtures and on a random model with the 3B's widths and few layers.
 *
 *   node bench/quantization.ts [--folder DIR]
 *
 * `prompt` is the state of the last prompt token, as a target's embedding is; `written` the state read out after 31 given
 * tokens fed one by one, as a query's is; `same id` the share of steps where the likeliest token is float32's.
 */
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkItem } from "../src/embed/check-item.ts";
import { endingOf } from "../src/embed/ending.ts";
import type { PartFormats } from "../src/embed/formats.ts";
import { openModel, type OpenModel } from "../src/embed/model.ts";
import { prepareItem } from "../src/embed/prepare.ts";
import { seededRandom } from "../src/random.ts";
import { casesOf, type FixtureCase } from "../test/support/fixtures.ts";
import { cosine } from "../test/support/assert-close.ts";
import { randomCheckpoint } from "./random-checkpoint.ts";

const FIXTURES = join(import.meta.dirname, "../test/fixtures");
const STEPS = 32;
const EXACT: PartFormats = { vision: "float32", prefill: "float32", decode: "float32", head: "float32" };
const SETTINGS: readonly [string, Partial<PartFormats>][] = [
  ["vision rows8", { vision: "rows8" }],
  ["prefill rows8", { prefill: "rows8" }],
  ["prefill blocks8", { prefill: "blocks8" }],
  ["prefill blocks4", { prefill: "blocks4" }],
  ["decode rows8", { decode: "rows8" }],
  ["decode blocks8", { decode: "blocks8" }],
  ["decode blocks4", { decode: "blocks4" }],
  ["head rows8", { head: "rows8" }],
  ["head blocks8", { head: "blocks8" }],
  ["head blocks4", { head: "blocks4" }],
  ["int8 (all)", { vision: "rows8", prefill: "rows8", decode: "rows8", head: "blocks8" }],
  ["int4 (all)", { vision: "rows8", prefill: "rows8", decode: "blocks4", head: "blocks8" }],
];

interface Trace {
  readonly prompt: Float32Array;
  readonly written: Float32Array;
  readonly ids: readonly number[];
}

const { values } = parseArgs({ options: { folder: { type: "string", default: join(tmpdir(), "rge-bench") } } });
const cacheDir = join(values.folder, "cache");
const cases = casesOf("qwen2_5_vl");
const few = randomCheckpoint(join(values.folder, "few"), { layers: 4, depth: 4, seed: 1 });
for (const folder of ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"]
  .map((family) => join(FIXTURES, family, "checkpoint"))
  .concat(few))
  if (existsSync(folder)) await compare(folder);

async function compare(folder: string): Promise<void> {
  console.log(`\n${folder}`);
  console.log(`  ${"".padEnd(16)} prompt: mean    worst   written: mean   worst   same id`);
  const exact = await traces(folder, EXACT);
  for (const [name, parts] of SETTINGS) {
    const other = await traces(folder, { ...EXACT, ...parts });
    const prompt = exact.map((trace, i) => cosine(trace.prompt, other[i]!.prompt));
    const written = exact.map((trace, i) => cosine(trace.written, other[i]!.written));
    const same = exact.flatMap((trace, i) => trace.ids.map((id, step) => (id === other[i]!.ids[step] ? 1 : 0)));
    console.log(`  ${name.padEnd(16)} ${stats(prompt)}   ${stats(written)}   ${mean(same).toFixed(3)}`);
  }
}

async function traces(folder: string, formats: PartFormats): Promise<Trace[]> {
  await using model = await openModel({ folder, adapter: undefined, formats, threads: 2, cacheDir }, () => {});
  const made: Trace[] = [];
  for (const one of cases) made.push(await traceOf(model, one));
  return made;
}

async function traceOf(model: OpenModel, { text, images, min_pixels, max_pixels }: FixtureCase): Promise<Trace> {
  const paths = images.map((image) => join(FIXTURES, image));
  const item = checkItem({ text, images: paths, minPixels: min_pixels, maxPixels: max_pixels }, 1);
  const { prompt, images: prepared } = await prepareItem(
    model,
    endingOf(model.tokenizer, model.generation, undefined),
    item,
  );
  const [read] = await model.language.read([{ ...prompt, features: await model.vision.encode(prepared) }]);
  const cache = model.language.newCache(1, prompt.ids.length + STEPS);
  cache.addRow();
  for (const { block, row, count } of read!.parts) cache.append(0, block, row, count);
  const random = seededRandom(7);
  const ids: number[] = [];
  let hidden: Float32Array = read!.hidden;
  for (let step = 0; step < STEPS - 1; step++) {
    const logits = await model.language.logits(hidden);
    ids.push(logits.indexOf(logits.reduce((best, value) => Math.max(best, value), -Infinity)));
    const token = Math.floor(random() * 500);
    hidden = await model.language.step(cache, [token], [cache.lengthOf(0) + prompt.positions.delta]);
  }
  const ending = { row: 0, tokens: [STEPS], position: cache.lengthOf(0) + prompt.positions.delta };
  const [written] = await model.language.readOut(cache, [ending]);
  return { prompt: read!.hidden, written: written!, ids };
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
}

function stats(numbers: readonly number[]): string {
  return `${mean(numbers).toFixed(6)} ${Math.min(...numbers).toFixed(6)}`;
}
