/**
 * What `auto` keeps of reasoning's gain, and what it saves: nano on Scenes, the threshold learnt from every other query and
 * judged on the rest. Writes docs/auto.svg.
 *
 *   node nano/auto.ts --data DIR [--limit 200]
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readEvalTask } from "../src/dataset/eval-rows.ts";
import { Embedder } from "../src/embed/embedder.ts";
import { TaskEvaluator, type QueryOutcome } from "../src/eval/evaluate.ts";
import { ItemKeys } from "../src/eval/item-key.ts";
import { readScenes } from "../src/eval/scenes-folder.ts";
import { VectorCache } from "../src/eval/vector-cache.ts";
import {
  cheapestKeeping,
  fitSureness,
  tradeOffs,
  type KnownQuery,
  type ScoredHit,
  type TradeOff,
} from "../src/search/calibration.ts";
import { lineChart } from "./line-chart.ts";

const BUDGET = 64;
const SHARES = [0.9, 0.95, 0.99];

const { values } = parseArgs({ options: { data: { type: "string" }, limit: { type: "string", default: "200" } } });
if (values.data === undefined) throw new Error("--data is missing: a folder that `rge scenes` wrote");
const data = values.data;

await using embedder = await Embedder.load();
const keys = new ItemKeys({ modelHash: embedder.info.hash, sideHash: "", weights: "int8" });
const plan = { embedders: [embedder], batch: 16, bounds: {}, keys };
const learnt: KnownQuery[] = [];
const judged: KnownQuery[] = [];
for (const { name } of readScenes(data).datasets) {
  const task = await readEvalTask(join(data, "eval", name), { imageRoots: [data], limit: Number(values.limit) });
  const evaluator = new TaskEvaluator(task, {}, plan, VectorCache.inMemory());
  const direct = await evaluator.evaluate("direct");
  const reason = await evaluator.evaluate({ maxNewTokens: BUDGET, onBudget: "force-emb" });
  task.queries.forEach((_, i) => {
    const query = {
      direct: hitsOf(direct[i]!),
      reason: hitsOf(reason[i]!),
      rationaleTokens: reason[i]!.rationaleTokens,
    };
    (i % 2 === 0 ? learnt : judged).push(query);
  });
  console.error(name);
}

/** Candidates with their cosines, the best first; the first of a row is right. */
function hitsOf({ scores }: QueryOutcome): ScoredHit[] {
  return [...scores].map((cosine, i) => ({ cosine, right: i === 0 })).sort((a, b) => b.cosine - a.cosine);
}

const sure = fitSureness(learnt);
const points = tradeOffs(judged, sure);
const [never, always] = [points[0]!, points.at(-1)!];
const gain = (point: TradeOff): number => (point.accuracy - never.accuracy) / (always.accuracy - never.accuracy);
const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;
console.log(
  `${learnt.length} queries to learn from, ${judged.length} judged; P@1 ${percent(never.accuracy)} direct, ${percent(always.accuracy)} reasoned`,
);
for (const share of SHARES) {
  const { leastSure } = cheapestKeeping(tradeOffs(learnt, sure), share);
  const found = points.findLast((point) => point.leastSure <= leastSure)!;
  console.log(
    `keep ${percent(share)}: where less than ${percent(leastSure)} sure, P@1 ${percent(found.accuracy)}, ${percent(gain(found))} of the gain with ${percent(found.tokens)} of the tokens`,
  );
}
// Whoever knew where direct is right would reason for the others only, the short rationales first.
const needed = judged.filter(({ direct, reason }) => !direct[0]!.right && reason[0]!.right);
const tokens = judged.reduce((sum, { rationaleTokens }) => sum + rationaleTokens, 0);
const best = needed.map(({ rationaleTokens }) => rationaleTokens).sort((a, b) => a - b);
const harmed = judged.filter(({ direct, reason }) => direct[0]!.right && !reason[0]!.right).length;
const most = needed.length - harmed;
let spent = 0;
const perfect = best.map((own, i): [number, number] => [(100 * (spent += own)) / tokens, (100 * (i + 1)) / most]);
const ninety = perfect.find(([, share]) => share >= 90)!;
console.log(
  `who knew which queries need a rationale would keep 90% of the gain with ${ninety[0].toFixed(1)}% of the tokens`,
);
const lines = [
  { name: "auto", points: points.map((point): [number, number] => [100 * point.tokens, 100 * gain(point)]) },
  {
    name: "at random",
    points: [
      [0, 0],
      [100, 100],
    ] as const,
  },
  { name: "knowing all", points: perfect },
];
writeFileSync(join(import.meta.dirname, "../docs/auto.svg"), lineChart("Gain kept (%) by tokens written (%)", lines));
