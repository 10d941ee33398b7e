/** MMEB's evaluation against the reference pipeline in PyTorch, on rows in MMEB's layout (test/fixtures/README.md). */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { EvalSide, EvalTask } from "../../../src/dataset/eval-task.ts";
import { openBenchmark } from "../../../src/eval/benchmark.ts";
import { TaskEvaluator, type EvalPlan } from "../../../src/eval/evaluate.ts";
import { finalSide } from "../../../src/eval/final-text.ts";
import { ItemKeys } from "../../../src/eval/item-key.ts";
import { readRules, type TextRule } from "../../../src/eval/rules.ts";
import { VectorCache } from "../../../src/eval/vector-cache.ts";
import { Embedder } from "../../../src/index.ts";
import { checkpointOf } from "../../support/fixtures.ts";

const SAMPLE = fileURLToPath(new URL("../../fixtures/mmeb/", import.meta.url));
/** The authors' rules, which the project holds no copy of. */
const RULES = fileURLToPath(new URL("../../../../shared/mmeb/", import.meta.url));
/** That of the issue; the scores are float32 on both sides and differ by 1e-6 at most. */
const TOLERANCE = 1e-4;

interface Expected {
  readonly min_pixels: number;
  readonly max_pixels: number;
  readonly max_new_tokens: number;
  readonly repetition_penalty: number;
  readonly min_side: number;
  readonly datasets: Readonly<
    Record<string, { acc: number; predictions: number[]; scores: number[][]; texts: Readonly<Record<string, string>> }>
  >;
}

const expected = JSON.parse(readFileSync(join(SAMPLE, "expected.json"), "utf8")) as Expected;
const benchmark = await openBenchmark(SAMPLE, { picturesFolder: "" });

/** As `expected.json` names an item. */
function nameOf(side: "qry" | "tgt", { text, images: [image] }: EvalSide): string {
  return `${side}|${text}|${image === undefined ? "" : relative(SAMPLE, image)}`;
}

/** Raw texts to final ones, as the reference has them: what is tested then is everything but the rules. */
function rulesOf(side: "qry" | "tgt", texts: Readonly<Record<string, string>>): TextRule {
  const pairs = Object.entries(texts)
    .filter(([name]) => name.startsWith(`${side}|`))
    .map(([name, text]): [string, string] => [name.slice(side.length + 1, name.lastIndexOf("|")), text]);
  return { valueMap: new Map(pairs) };
}

describe("MMEB's sample", () => {
  let embedder: Embedder;
  before(async () => {
    embedder = await Embedder.load(checkpointOf("qwen2_5_vl"), { weights: "fp32", batch: 16 });
  });
  after(async () => {
    await embedder[Symbol.asyncDispose]();
  });

  for (const dataset of benchmark.datasets) {
    const { scores, predictions, acc, texts } = expected.datasets[dataset.name]!;

    test(`${dataset.name}: scores, predictions and accuracy are the reference's`, async () => {
      const task = await benchmark.read(dataset);
      const plan: EvalPlan = {
        embedders: [embedder],
        batch: 16,
        keys: new ItemKeys({ modelHash: embedder.info.hash, sideHash: "", weights: "fp32" }),
        bounds: { minPixels: expected.min_pixels, maxPixels: expected.max_pixels, minSide: expected.min_side },
      };
      const rules = { query: rulesOf("qry", texts), target: rulesOf("tgt", texts) };
      const evaluator = new TaskEvaluator(task, rules, plan, VectorCache.inMemory());
      const outcomes = await evaluator.evaluate({
        maxNewTokens: expected.max_new_tokens,
        onBudget: "pool-last",
        repetitionPenalty: expected.repetition_penalty,
      });
      outcomes.forEach((outcome, row) => {
        assert.equal(outcome.scores.length, scores[row]!.length);
        outcome.scores.forEach((score, at) => {
          assert.ok(Math.abs(score - scores[row]![at]!) < TOLERANCE, `row ${row}, candidate ${at}: ${score}`);
        });
      });
      assert.deepEqual(
        outcomes.map(({ ranked }) => ranked[0]),
        predictions,
      );
      assert.equal(outcomes.filter(({ ranked }) => ranked[0] === 0).length / outcomes.length, acc);
    });

    const skip = existsSync(RULES) ? false : `${RULES} is not there`;
    test(`${dataset.name}: the authors' rules give every TEXT of the reference`, { skip }, async () => {
      const task = await benchmark.read(dataset);
      const queries = readRules(join(RULES, "instruction_replacements-eval.yaml")).rules.get(dataset.name);
      const targets = readRules(join(RULES, "candidate_replacements.yaml")).rules.get(dataset.name);
      const made = new Map<string, string>(textsOf(task, queries, targets));
      assert.deepEqual(Object.fromEntries(made), texts);
    });
  }
});

function textsOf(task: EvalTask, queries: TextRule | undefined, targets: TextRule | undefined): [string, string][] {
  return [
    ...task.queries.map(({ query }): [string, string] => [nameOf("qry", query), finalSide(query, queries).text]),
    ...task.targets.map((target): [string, string] => [nameOf("tgt", target), finalSide(target, targets).text]),
  ];
}
