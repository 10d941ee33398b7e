/**
 * Our side of bench/training.ts, and the work that both sides do. Run as a program it measures in a process of its own, so
 * that peak memory is this measurement's:
 *
 *   node bench/training-step.ts FOLDER WORK_JSON STEPS THREADS RECOMPUTE
 */
import { readFileSync } from "node:fs";
import { Collator, type Branches, type PromptSide, type TrainingPair } from "../src/train/collate.ts";
import { Optimizer } from "../src/train/optimizer.ts";
import { RationaleWriter } from "../src/train/rationale-writer.ts";
import { StepRunner } from "../src/train/step.ts";
import { openTrainingModel } from "../src/train/training-model.ts";
import { join } from "node:path";
import { ChatTemplate } from "../src/input/chat-template.ts";
import { openingIds } from "../src/input/prompt.ts";
import { Tokenizer } from "../src/input/tokenizer.ts";
import { ropePositions } from "../src/models/index.ts";
import type { PreparedImage } from "../src/input/image-processor.ts";
import { seededRandom } from "../src/random.ts";

/**
 * `step`: LM and InfoNCE on one sequence per query, the given rationale, and one per target; `rge`: rationales are
 * generated first, the LM term has the given ones and InfoNCE those; `plain`: as `step`, but no two sequences have a token
 * in common that could be computed once.
 */
export type StepKind = "step" | "rge" | "plain";

/** A batch by ids; pictures are numbers that both sides make by one formula. */
export interface TrainingWork {
  readonly kind: StepKind;
  readonly grid: readonly [number, number, number];
  readonly maxNewTokens: number;
  readonly temperature: number;
  readonly learningRate: number;
  readonly pairs: readonly { prompt: number[]; oracle: number[]; target: number[] }[];
}

/** What a side took. */
export interface StepTimes {
  readonly parameters: number;
  /** Of the whole step, the median. */
  readonly seconds: number;
  readonly generateSeconds: number;
  /** Tokens of all sequences, padding not counted; ours computes those that sequences share once. */
  readonly tokens: number;
  /** Operations of the products with weights, forward and backward; 0 where not counted. */
  readonly gflop: number;
  /** `[lm, contrastive]` per step. */
  readonly losses: readonly (readonly number[])[];
  readonly peakBytes: number;
}

/** The fixture tokenizer's ids. */
const IDS = { visionStart: 521, visionEnd: 522, imagePad: 524 };
const GRID = [1, 6, 6] as const;
const IMAGE_TOKENS = 9;
const PATCH_COLUMNS = 1176;

/**
 * A seeded batch in the fixture's template, whose opening has as many tokens as its tokenizer makes of Qwen's system turn:
 * 84-pixel pictures of 9 tokens and texts of 20, rationales of 23, target texts of 10, 5 tokens that close the turn.
 */
export function trainingBatch(kind: StepKind, batch: number, vocab: number): TrainingWork {
  const random = seededRandom(5);
  const words = (count: number): number[] =>
    Array.from({ length: count }, () => Math.floor(random() * Math.min(500, vocab)));
  const folder = join(import.meta.dirname, "../test/fixtures/qwen2_5_vl/checkpoint");
  const common = openingIds({ tokenizer: Tokenizer.load(folder), template: ChatTemplate.load(folder) });
  const opening = (): number[] => (kind === "plain" ? words(common.length) : common);
  const closing = words(5);
  const image = [IDS.visionStart, ...Array.from({ length: IMAGE_TOKENS }, () => IDS.imagePad), IDS.visionEnd];
  return {
    kind,
    grid: GRID,
    maxNewTokens: 24,
    temperature: 0.05,
    // A model that learns would end its rationales early, each side after a length of its own.
    learningRate: kind === "rge" ? 1e-8 : 1e-4,
    pairs: Array.from({ length: batch }, () => ({
      prompt: [...opening(), ...image, ...words(20), ...closing],
      oracle: words(23),
      target: [...opening(), ...words(10), ...closing],
    })),
  };
}

/** Measures our step. */
async function measureOurs(
  folder: string,
  work: TrainingWork,
  { steps, threads, recompute }: { steps: number; threads: number; recompute: boolean },
): Promise<StepTimes> {
  const model = openTrainingModel(folder, {
    lora: undefined,
    trainable: ".*",
    freezeVision: false,
    decayOn: "all",
    seed: 0,
  });
  const session = { threads };
  await using optimizer = await Optimizer.open(
    model.weights.trained,
    { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
    undefined,
    session,
  );
  const objective = {
    temperature: work.temperature,
    hardness: 0,
    falseNegativeMargin: undefined,
    arWeight: 1,
    embWeight: 1,
    recompute,
  };
  await using runner = new StepRunner(model, model.weights, new Collator(model, model.embId), objective, session);
  await using writer =
    work.kind === "rge"
      ? await RationaleWriter.open(
          model,
          { maxNewTokens: work.maxNewTokens, temperature: 0, topP: 1, repetitionPenalty: 1 },
          work.pairs.length,
          session,
        )
      : undefined;
  const pairs = work.pairs.map((pair, i): TrainingPair => ({
    place: `pair ${i}`,
    query: sideOf(pair.prompt, i),
    oracleIds: pair.oracle,
    target: sideOf(pair.target, i),
    negatives: [],
  }));
  const totals: number[] = [];
  const generations: number[] = [];
  const losses: number[][] = [];
  let [tokens, rows] = [0, 0];
  // The first step compiles the graphs.
  for (let step = 0; step <= steps; step++) {
    const startMs = performance.now();
    const written = await writer?.write(
      pairs.map(({ query }) => query),
      pairs.map(() => 0),
      AbortSignal.timeout(600_000),
    );
    const generatedMs = performance.now();
    const branches = pairs.map(({ oracleIds }, i): Branches => ({
      lm: oracleIds,
      contrast: written === undefined ? "lm" : written[i]!.ids,
    }));
    const [loss] = await runner.backward([{ pairs, branches }], pairs.length, optimizer);
    await runner.update(optimizer, work.learningRate, 1);
    const endMs = performance.now();
    losses.push([loss!.lm!, loss!.contrastive!]);
    const perSide = pairs.map(({ query, target }, i) => {
      const { contrast } = branches[i]!;
      const sequences = contrast === "lm" ? 1 : 2;
      return sequences * (query.ids.length + work.pairs[i]!.oracle.length + 1) + target!.ids.length + 1;
    });
    tokens = perSide.reduce((sum, count) => sum + count, 0);
    rows = loss!.rows;
    if (step === 0) continue;
    totals.push((endMs - startMs) / 1000);
    generations.push((generatedMs - startMs) / 1000);
  }
  const parameters = model.weights.trained.size;
  return {
    parameters,
    seconds: median(totals),
    generateSeconds: median(generations),
    tokens,
    gflop: gflopOf(model.weights.trained.shapes, work, rows),
    losses,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

/** Six operations per weight and row that meets it: two forward, four backward. */
function gflopOf(
  shapes: readonly { name: string; shape: readonly number[] }[],
  { pairs, grid }: TrainingWork,
  computedRows: number,
): number {
  const patches = pairs.length * grid[0] * grid[1] * grid[2];
  const labels = pairs.reduce((sum, { oracle }) => sum + oracle.length + 1, 0);
  let total = 0;
  for (const { name, shape } of shapes) {
    if (shape.length < 2) continue;
    const weights = shape.reduce((product, dim) => product * dim, 1);
    const rows = name.includes("embed_tokens")
      ? labels
      : !name.startsWith("model.visual.")
        ? computedRows
        : name.includes("merger")
          ? patches / 4
          : patches;
    total += 6 * weights * rows;
  }
  return total / 1e9;
}

function sideOf(ids: readonly number[], index: number): PromptSide {
  const imageSlots = ids.flatMap((id, at) => (id === IDS.imagePad ? [at] : []));
  const images = imageSlots.length === 0 ? [] : [picture(index)];
  return {
    ids,
    positions: ropePositions(
      ids,
      IDS.imagePad,
      images.map(({ grid }) => grid),
      2,
    ),
    imageSlots,
    images,
    key: `${ids.join(",")}#${index}`,
  };
}

function picture(index: number): PreparedImage {
  const size = GRID[1] * GRID[2] * PATCH_COLUMNS;
  const patches = new Float32Array(size);
  // Knuth's multiplicative hash: the same numbers in NumPy.
  for (let i = 0; i < size; i++) patches[i] = (Math.imul(index * size + i, 2654435761) >>> 0) / 2 ** 31 - 1;
  return { patches, grid: GRID, tokens: IMAGE_TOKENS, width: 84, height: 84, hash: String(index) };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

if (import.meta.main) {
  const [folder, work, steps, threads, recompute] = process.argv.slice(2);
  const times = await measureOurs(folder!, JSON.parse(readFileSync(work!, "utf8")) as TrainingWork, {
    steps: Number(steps),
    threads: Number(threads),
    recompute: recompute === "true",
  });
  console.log(JSON.stringify(times));
}
