/**
 * How many queries with rationales, and how many targets, nano embeds a second on this machine: the library as users have
 * it, pictures read from PNG files, vectors back in the caller's thread. Best of three rounds, warm.
 *
 *   node bench/nano.ts [--model M] [--weights fp32] [--batch 64] [--threads N]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readEvalTask } from "../src/dataset/eval-rows.ts";
import type { EvalSide } from "../src/dataset/eval-task.ts";
import { Embedder } from "../src/embed/embedder.ts";
import type { EmbedItem, WeightFormat } from "../src/embed/types.ts";
import { SCENE_DATASETS } from "../src/scenes/datasets.ts";
import { writeScenes } from "../src/scenes/write.ts";

const ROUNDS = 3;
const PER_DATASET = 24;

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "nano" },
    weights: { type: "string", default: "fp32" },
    batch: { type: "string", default: "64" },
    threads: { type: "string" },
  },
});
const folder = mkdtempSync(join(tmpdir(), "rge-bench-nano-"));
try {
  await writeScenes(folder, {
    train: 0,
    eval: PER_DATASET,
    seed: 3,
    preview: false,
    signal: new AbortController().signal,
  });
  const tasks = await Promise.all(
    SCENE_DATASETS.map(({ name }) => readEvalTask(join(folder, "eval", name), { imageRoots: [folder] })),
  );
  const queries = tasks.flatMap((task) => task.queries.map(({ query }) => itemOf("query", query)));
  const targets = tasks.flatMap((task) =>
    task.queries.map(({ candidates }) => itemOf("target", task.targets[candidates![0]!]!)),
  );
  await using embedder = await Embedder.load(values.model, {
    weights: values.weights as WeightFormat,
    batch: Number(values.batch),
    ...(values.threads !== undefined && { threads: Number(values.threads) }),
  });
  for (const [what, items] of [
    ["reasoned queries", queries],
    ["direct queries", queries.map((query) => ({ ...query, reason: false }))],
    ["targets", targets],
  ] as const) {
    let [best, tokens] = [Infinity, 0];
    for (let round = 0; round <= ROUNDS; round++) {
      const startMs = performance.now();
      const results = await embedder.embed(items);
      // The first round compiles and warms up.
      if (round > 0) best = Math.min(best, (performance.now() - startMs) / 1000);
      tokens = results.reduce((sum, { rationaleTokens }) => sum + rationaleTokens, 0) / results.length;
    }
    console.log(
      `${what.padEnd(18)} ${(items.length / best).toFixed(0).padStart(6)} a second, ${tokens.toFixed(1)} rationale tokens each (${items.length} items, ${values.weights}, batch ${values.batch})`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function itemOf(role: "query" | "target", { text, images }: EvalSide): EmbedItem {
  return { role, text: `${text}\n`, images };
}
