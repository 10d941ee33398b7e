/**
 * What the second stage of a search adds: the best hits judged yes or no, by nano as it is, which never saw the question,
 * and by a copy that was trained on it. The copy makes no embeddings of use any more: it is no checkpoint to keep, but
 * tells what judging is worth to a model that can.
 *
 *   node nano/judge.ts [--work nano/work] [--limit 200] [--steps 1500]
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { readEvalTask } from "../src/dataset/eval-rows.ts";
import type { EvalSide } from "../src/dataset/eval-task.ts";
import { readTrainRows, type TrainRow, type TrainSide } from "../src/dataset/train-rows.ts";
import { NANO_FOLDER } from "../src/checkpoint/nano.ts";
import { Embedder } from "../src/embed/embedder.ts";
import type { EmbedItem } from "../src/embed/types.ts";
import { TaskEvaluator } from "../src/eval/evaluate.ts";
import { ItemKeys } from "../src/eval/item-key.ts";
import { VectorCache } from "../src/eval/vector-cache.ts";
import { seededRandom } from "../src/random.ts";
import { judgeItems, judgeTextOf } from "../src/search/rerank.ts";
import type { ItemFields } from "../src/store/store.ts";
import { rge } from "./make.ts";

/** Those whose query and candidate have one picture between them, as a row to train on has. */
const DATASETS = ["Symbol", "Count", "CountIf", "Compare", "CaptionToImage", "ImageToCaption"];
const TRAIN_ROWS = 3000;
/** Hits that are judged; the wrong ones to learn from are among the nearest too. */
const BEST = 5;
const BUDGET = { maxNewTokens: 64, onBudget: "force-emb" } as const;
const NO_BOUNDS = { minPixels: null, maxPixels: null };

const { values } = parseArgs({
  options: {
    work: { type: "string", default: join(import.meta.dirname, "work") },
    limit: { type: "string", default: "200" },
    steps: { type: "string", default: "1500" },
  },
});
const scenes = join(values.work, "scenes");
const work = join(values.work, "judge");
mkdirSync(work, { recursive: true });
const rows = join(work, "rows.jsonl");
if (!existsSync(rows)) await writeRows();
const trained = join(work, "trained");
if (!existsSync(join(trained, "model")))
  rge(["train", settings(), "--output", trained, "--steps", values.steps, "--resume"]);
await using nano = await Embedder.load();
await using copy = await Embedder.load(join(trained, "model"));
const keys = new ItemKeys({ modelHash: nano.info.hash, sideHash: "", weights: "int8" });
const plan = { embedders: [nano], batch: 16, bounds: {}, keys };
for (const name of DATASETS) await measure(name);

/** A text without its slot, which stands elsewhere in what is judged. */
function wordsOf({ text }: TrainSide): string {
  return text.replace("<|image_1|>", "").trim();
}

/** A side of an evaluation row, as training rows have them. */
function sideOf({ text, images: [image] }: EvalSide): TrainSide {
  return { text, image };
}

/** As the indexer keeps it. */
function itemOf(side: TrainSide): ItemFields {
  const text = side.image === undefined ? wordsOf(side) : "";
  return { id: "", text, path: side.image ?? "", contentHash: "", stamp: "", metadata: {} };
}

function embedItemOf({ text, image }: TrainSide): EmbedItem {
  return { text: `${text.trim()}\n`, images: image === undefined ? [] : [image] };
}

/** A yes and a no of each row: its target, and one of those near to its query. */
async function writeRows(): Promise<void> {
  await using embedder = await Embedder.load();
  const random = seededRandom(0);
  const lines: string[] = [];
  for (const name of DATASETS) {
    const path = join(scenes, "train", `${name}.jsonl`);
    const read = (await readTrainRows(path, { imageRoot: scenes, limit: TRAIN_ROWS })).rows;
    const queries = await embedder.embed(read.map(({ query }) => ({ ...embedItemOf(query), reason: BUDGET })));
    const sides = [...new Map(read.map(({ target }) => [keyOf(target), target])).values()];
    const targets = await embedder.embed(sides.map((side) => ({ ...embedItemOf(side), role: "target" })));
    for (const [i, row] of read.entries()) {
      const { embedding, rationale } = queries[i]!;
      const near = sides
        .map((side, at) => ({ side, cosine: cosineOf(embedding, targets[at]!.embedding) }))
        .filter(({ side }) => keyOf(side) !== keyOf(row.target))
        .sort((a, b) => b.cosine - a.cosine)
        .slice(0, BEST - 1);
      const wrong = near[Math.floor(random() * near.length)]!.side;
      lines.push(lineOf(row, row.target, rationale, "yes"), lineOf(row, wrong, rationale, "no"));
    }
    console.error(name);
  }
  writeFileSync(rows, lines.join(""));
}

function keyOf(side: TrainSide): string {
  return JSON.stringify([side.text, side.image]);
}

function cosineOf(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

function lineOf({ query }: TrainRow, side: TrainSide, rationale: string, answer: string): string {
  const picture = query.image ?? side.image;
  const row = {
    qry: judgeTextOf({ words: wordsOf(query), rationale }, query.image !== undefined, itemOf(side)),
    qry_image_path: picture === undefined ? "" : relative(scenes, picture),
    pos_text: answer,
    pos_image_path: "",
    rationale: answer,
  };
  return `${JSON.stringify(row)}\n`;
}

/** Those of the stage "practise", which trains without contrast, at a lower rate. */
function settings(): string {
  const file = join(work, "judge.json");
  const data = [{ name: "Judge", path: rows, imageRoot: scenes }];
  writeFileSync(
    file,
    JSON.stringify({
      model: NANO_FOLDER,
      data,
      validation: [],
      embWeight: 0,
      steps: 1500,
      batchSize: 64,
      learningRate: 5e-4,
      decay: "cosine",
      warmup: 0.03,
      clipNorm: 1,
      maxNewTokens: 64,
      validateEvery: 1_000_000,
      seed: 0,
    }),
  );
  return file;
}

/** P@1 of one dataset without the second stage and with it, by each judge. */
async function measure(name: string): Promise<void> {
  const task = await readEvalTask(join(scenes, "eval", name), { imageRoots: [scenes], limit: Number(values.limit) });
  const outcomes = await new TaskEvaluator(task, {}, plan, VectorCache.inMemory()).evaluate(BUDGET);
  const counts = { first: 0, among: 0, nano: 0, copy: 0 };
  let judgedMs = 0;
  for (const [i, { query: asked, candidates }] of task.queries.entries()) {
    const query = sideOf(asked);

    const { scores, rationale } = outcomes[i]!;
    const best = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]!).slice(0, BEST);
    if (best[0] === 0) counts.first++;
    if (best.includes(0)) counts.among++;
    const wanted = {
      words: wordsOf(query),
      image: query.image === undefined ? undefined : await readFile(query.image),
      rationale,
    };
    for (const [judge, embedder] of [
      ["nano", nano],
      ["copy", copy],
    ] as const) {
      const startMs = performance.now();
      const items = best.map((at) => itemOf(sideOf(task.targets[candidates![at]!]!)));
      const chances = await judgeItems(embedder, wanted, items, NO_BOUNDS, undefined);
      judgedMs += performance.now() - startMs;
      const [first] = [...best.keys()].sort((a, b) => chances[b]! - chances[a]!);
      if (best[first!] === 0) counts[judge]++;
    }
  }
  const share = (count: number): string => `${((100 * count) / task.queries.length).toFixed(1)}%`;
  const ms = (judgedMs / task.queries.length / 2).toFixed(0);
  console.log(
    `${name}: P@1 ${share(counts.first)}, right among the best ${BEST} ${share(counts.among)}; judged by nano ${share(counts.nano)}, by the copy ${share(counts.copy)}; ${ms} ms a query`,
  );
}
