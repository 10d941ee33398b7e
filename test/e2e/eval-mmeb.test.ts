/** `rge eval mmeb` on rows in MMEB's layout: the reference's numbers, interruption, shards, other checkpoints, bad data. */
import assert from "node:assert/strict";
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { EvalResults, QueryRecord } from "../../src/eval/types.ts";
import { seededRandom } from "../../src/random.ts";
import { CHECKPOINT, parseLines, runCli, startCli, temporaryFolder } from "../support/run-cli.ts";
import { assertSameFiles, filesOf } from "../support/run-files.ts";
import { checkpointOf } from "../support/fixtures.ts";

const SAMPLE = fileURLToPath(new URL("../fixtures/mmeb/", import.meta.url));
const KILLS = 10;

interface Expected {
  readonly datasets: Readonly<
    Record<string, { acc: number; predictions: number[]; scores: number[][]; texts: Readonly<Record<string, string>> }>
  >;
}

const expected = JSON.parse(readFileSync(join(SAMPLE, "expected.json"), "utf8")) as Expected;
const root = temporaryFolder();
/** As the fixture was made. */
const settings = [
  "--min-pixels",
  "3136",
  "--max-pixels",
  "50176",
  "--max-new-tokens",
  "16",
  "--repetition-penalty",
  "1.05",
  "--query-rules",
  join(root, "qry.yaml"),
  "--target-rules",
  join(root, "tgt.yaml"),
];

function resultsOf(folder: string): EvalResults {
  return JSON.parse(readFileSync(join(folder, "results.json"), "utf8")) as EvalResults;
}

function recordsOf(folder: string, dataset: string): QueryRecord[] {
  return parseLines(readFileSync(join(folder, "queries", `${dataset}.jsonl`), "utf8")) as unknown as QueryRecord[];
}

describe("rge eval mmeb", () => {
  const first = join(root, "first");

  before(async () => {
    // Every raw text under `value_map`; JSON is YAML.
    for (const side of ["qry", "tgt"]) {
      const rules = Object.entries(expected.datasets).map(([name, { texts }]) => {
        const own = Object.entries(texts).filter(([item]) => item.startsWith(`${side}|`));
        const map = own.map(([item, text]) => [item.slice(side.length + 1, item.lastIndexOf("|")), text]);
        return [name, { value_map: Object.fromEntries(map) as unknown }];
      });
      writeFileSync(join(root, `${side}.yaml`), JSON.stringify(Object.fromEntries(rules)));
    }
    const run = await runCli(["eval", "mmeb", "--data", SAMPLE, "--model", CHECKPOINT, "--out", first, ...settings]);
    assert.equal(run.status, 0, run.stderr);
  });

  test("gives the reference's scores, predictions and accuracies", () => {
    const { datasets, means } = resultsOf(first);
    assert.deepEqual(datasets.map(({ name }) => name).sort(), Object.keys(expected.datasets).sort());
    for (const { name, metrics } of datasets) {
      const { acc, predictions, scores } = expected.datasets[name]!;
      assert.equal(metrics["hit@1"], acc, name);
      const records = recordsOf(first, name);
      assert.deepEqual(
        records.map(({ top }) => top[0]!.index),
        predictions,
      );
      records.forEach((record, row) =>
        record.scores!.forEach((score, at) => assert.ok(Math.abs(score - scores[row]![at]!) < 1e-4)),
      );
    }
    // By hand: (1/5 + 3/5 + 2/5 + 2/5 + 2/5 + 1/5 + 2/5) / 7.
    assert.ok(Math.abs(means.overall.value - 13 / 35) < 1e-12);
    assert.ok(Math.abs(means.metaTasks["classification"]!.value - 0.4) < 1e-12);
  });

  test("a second run embeds nothing and leaves the same files", async () => {
    const files = filesOf(first);
    const embeddings = globSync("embeddings/**/*.jsonl", { cwd: first });
    const run = await runCli(["eval", "mmeb", "--data", SAMPLE, "--model", CHECKPOINT, "--out", first, ...settings]);
    assert.equal(run.status, 0, run.stderr);
    assertSameFiles(filesOf(first), files);
    assert.deepEqual(globSync("embeddings/**/*.jsonl", { cwd: first }), embeddings);
  });

  test("another checkpoint in the same folder is scored with its own vectors, and the first one's results are kept", async () => {
    const [shared, alone] = [join(root, "shared"), join(root, "alone")];
    cpSync(first, shared, { recursive: true });
    const other = checkpointOf("qwen2_vl");
    for (const out of [shared, alone]) {
      const run = await runCli(["eval", "mmeb", "--data", SAMPLE, "--model", other, "--out", out, ...settings]);
      assert.equal(run.status, 0, run.stderr);
    }
    assertSameFiles(filesOf(shared), filesOf(alone));
    assert.notDeepEqual(resultsOf(shared).datasets, resultsOf(first).datasets);
    assertSameFiles(filesOf(join(shared, "earlier-1")), filesOf(first));
  });

  test("the same weights with another tokenizer or other settings share nothing", async () => {
    const [out, changed] = [join(root, "changed"), join(root, "changed-checkpoint")];
    cpSync(first, out, { recursive: true });
    cpSync(CHECKPOINT, changed, { recursive: true });
    const file = join(changed, "generation_config.json");
    writeFileSync(file, `${readFileSync(file, "utf8")}\n`);
    const made = globSync("embeddings/**/*.jsonl", { cwd: out }).length;
    const run = await runCli(["eval", "mmeb", "--data", SAMPLE, "--model", changed, "--out", out, ...settings]);
    assert.equal(run.status, 0, run.stderr);
    assert.equal(globSync("embeddings/**/*.jsonl", { cwd: out }).length, 2 * made);
    const bounds = ["--datasets", "RefCOCO", ...settings, "--min-side", "56"];
    const bounded = await runCli(["eval", "mmeb", "--data", SAMPLE, "--model", changed, "--out", out, ...bounds]);
    assert.equal(bounded.status, 0, bounded.stderr);
    assert.equal(globSync("embeddings/**/*.jsonl", { cwd: out }).length, 2 * made + 2);
  });

  test("shards make the embeddings, and the run without one scores them", async () => {
    const out = join(root, "shards");
    const all = ["eval", "mmeb", "--data", SAMPLE, "--model", CHECKPOINT, "--out", out, "--batch", "3", ...settings];
    const runs = await Promise.all(["1/3", "2/3", "3/3"].map((shard) => runCli([...all, "--shard", shard])));
    assert.ok(runs.every(({ status }) => status === 0));
    assert.equal(existsSync(join(out, "results.json")), false);
    const embeddings = globSync("embeddings/**/*.jsonl", { cwd: out });
    assert.equal((await runCli(all)).status, 0);
    assert.deepEqual(globSync("embeddings/**/*.jsonl", { cwd: out }), embeddings);
    const uncut = join(root, "uncut");
    assert.equal((await runCli([...all.slice(0, 7), uncut, ...all.slice(8)])).status, 0);
    assertSameFiles(filesOf(out), filesOf(uncut));
  });

  test("damaged embeddings are told and made again", async () => {
    const out = join(root, "damaged");
    cpSync(first, out, { recursive: true });
    const [cut, wrong] = globSync("embeddings/**/*.jsonl", { cwd: out }).map((name) => join(out, name));
    writeFileSync(cut!, readFileSync(cut!, "utf8").slice(0, 200));
    const [line] = parseLines(readFileSync(wrong!, "utf8"));
    const zeros = Buffer.alloc(Buffer.from(line!["embedding"] as string, "base64").length).toString("base64");
    writeFileSync(wrong!, `${JSON.stringify({ ...line, embedding: zeros })}\n`);
    const run = await runCli(["eval", "mmeb", "--data", SAMPLE, "--model", CHECKPOINT, "--out", out, ...settings]);
    assert.equal(run.status, 0, run.stderr);
    assert.ok(run.stderr.includes(`${cut!}: cannot be used`) && run.stderr.includes("length 0"), run.stderr);
    assertSameFiles(filesOf(out), filesOf(first));
  });

  test("a picture that cannot be read is an error that names it, and nothing is scored", async () => {
    const [data, out] = [join(root, "bad-data"), join(root, "bad-out")];
    cpSync(SAMPLE, data, { recursive: true });
    writeFileSync(join(data, "images/03.png"), readFileSync(join(data, "images/03.png")).subarray(0, 300));
    const run = await runCli(["eval", "mmeb", "--data", data, "--model", CHECKPOINT, "--out", out, ...settings]);
    assert.notEqual(run.status, 0);
    assert.match(run.stderr, /images\/03\.png/);
    assert.equal(existsSync(join(out, "results.json")), false);
  });

  test("a model that gives NaN is told, with the item, and nothing of it is kept", async () => {
    const [model, out] = [join(root, "nan-checkpoint"), join(root, "nan-out")];
    cpSync(CHECKPOINT, model, { recursive: true });
    const file = join(model, "model.safetensors");
    const bytes = readFileSync(file);
    const headerBytes = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString()) as Record<
      string,
      { data_offsets: [number, number] }
    >;
    const [begin, end] = header["model.norm.weight"]!.data_offsets;
    // All ones is NaN in every float format.
    bytes.fill(0xff, 8 + headerBytes + begin, 8 + headerBytes + end);
    writeFileSync(file, bytes);
    const run = await runCli(["eval", "mmeb", "--data", SAMPLE, "--model", model, "--out", out, ...settings]);
    assert.equal(run.status, 4, run.stderr);
    assert.match(run.stderr, /target "[^"]+" ?.*: the model gave NaN or zeros/);
    assert.deepEqual(globSync("embeddings/**/*.jsonl", { cwd: out }), []);
  });

  test("what cannot be carried out says so", async () => {
    const rules = join(root, "rules.yaml");
    writeFileSync(rules, "ChartQA:\n  prefix: x\n");
    const outside = join(root, "outside");
    mkdirSync(join(outside, "ChartQA"), { recursive: true });
    const row = { qry_text: "<|image_1|>\nx", qry_img_path: "../secret.png", tgt_text: ["a"], tgt_img_path: [""] };
    writeFileSync(join(outside, "ChartQA/test.jsonl"), `${JSON.stringify(row)}\n`);
    const base = ["eval", "mmeb", "--model", CHECKPOINT, "--out", join(root, "none")];
    for (const [args, message] of [
      [[...base, "--data", SAMPLE, "--datasets", "ChartQA,Nothing"], /no dataset Nothing/],
      [[...base, "--data", SAMPLE, "--datasets", "VOC2007"], /no folder VOC2007/],
      [[...base, "--data", SAMPLE, "--shard", "3/2"], /--shard is K\/N/],
      [[...base, "--data", SAMPLE, "--query-rules", rules], /rules\.yaml.*prefix/s],
      [[...base, "--data", SAMPLE, "--query-rules", join(root, "no.yaml")], /no such file of rules/],
      [[...base, "--data", root], /no dataset of MMEB/],
      [[...base, "--data", outside], /test\.jsonl, row 1: qry_img_path "\.\.\/secret\.png" is not inside/],
      [["eval", "mmeb", "--data", SAMPLE], /--out is missing/],
    ] as const) {
      const { status, stderr } = await runCli(args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    }
  });

  test("a rule that changes no text is told", async () => {
    const rules = join(root, "useless.yaml");
    writeFileSync(rules, "ChartQA:\n  original: something else\n  replacement: x\n");
    const args = ["--out", join(root, "useless"), ...settings.slice(0, -4), "--query-rules", rules];
    const run = await runCli([
      "eval",
      "mmeb",
      "--data",
      SAMPLE,
      "--model",
      CHECKPOINT,
      "--datasets",
      "ChartQA",
      ...args,
    ]);
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stderr, /ChartQA: the rule of useless\.yaml for its queries changes no text/);
  });

  test("Ctrl-C stops it, and it goes on", async () => {
    const out = join(root, "interrupted");
    const args = ["eval", "mmeb", "--data", SAMPLE, "--model", CHECKPOINT, "--out", out, "--batch", "1", ...settings];
    const child = startCli(args);
    let told = "";
    child.stderr.setEncoding("utf8").on("data", (part: string) => (told += part));
    child.stdout.resume();
    const ended = once(child, "close");
    while (globSync("embeddings/**/*.jsonl", { cwd: out }).length < 3 && child.exitCode === null) await wait(5);
    child.kill("SIGINT");
    assert.deepEqual(await ended, [130, null]);
    assert.match(told, /stopping/);
    const left = globSync("embeddings/**/*.jsonl", { cwd: out });
    assert.ok(left.length < 90, `${left.length} batches were done`);
    assert.equal((await runCli(args)).status, 0);
    assert.deepEqual(
      resultsOf(out).datasets.map(({ metrics }) => metrics["hit@1"]),
      resultsOf(first).datasets.map(({ metrics }) => metrics["hit@1"]),
    );
  });

  test(`killed at ${KILLS} moments it goes on, and ends with the files of a run that was never stopped`, async () => {
    const scenes = join(root, "scenes");
    assert.equal((await runCli(["scenes", "--out", scenes, "--train", "0", "--eval", "12", "--seed", "3"])).status, 0);
    const [uncut, killed] = [join(root, "scenes-uncut"), join(root, "scenes-killed")];
    const args = ["eval", "mmeb", "--data", scenes, "--batch", "4", "--out"];
    const startedMs = performance.now();
    assert.equal((await runCli([...args, uncut])).status, 0);
    const wholeMs = performance.now() - startedMs;
    const random = seededRandom(6);
    const moments = Array.from({ length: KILLS }, () => wholeMs * random());
    for (const delayMs of moments) {
      const child = startCli([...args, killed]);
      child.stdout.resume();
      child.stderr.resume();
      const ended = once(child, "close");
      await Promise.race([wait(delayMs), ended]);
      child.kill("SIGKILL");
      await ended;
    }
    assert.equal((await runCli([...args, killed])).status, 0);
    assertSameFiles(filesOf(killed), filesOf(uncut));
  });
});
