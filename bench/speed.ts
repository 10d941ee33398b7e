/**
 * Items a second on Qwen2.5-VL-3B's shapes with random weights, beside transformers in one run where it is installed,
 * and the shares of this machine's memory bandwidth and of its GEMM speed that decoding and prefill reach.
 *
 *   node bench/speed.ts [--weights int8,int4] [--python PATH_TO_PYTHON_WITH_TRANSFORMERS] [--folder DIR] [--batch 1,16]
 *                       [--tokens 0,64,128] [--threads N]
 *
 * The first run writes a random checkpoint (7.5 GB) and compiles it; both stay in --folder. Nothing else may run meanwhile.
 */
import { spawnSync } from "node:child_process";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Embedder, type EmbedItem, type EmbedResult, type WeightFormat } from "../src/index.ts";
import { machineLimits } from "./limits.ts";
import { randomCheckpoint } from "./random-checkpoint.ts";

const IMAGE = join(import.meta.dirname, "../test/fixtures/images/example.jpg");
/** 448 x 448: 1024 patches, 256 tokens, as in an RGE evaluation at its lower bound. */
const PIXELS = 200_704;
const TEXT =
  "<|vision_start|><|image_pad|><|vision_end|>\nAnswer the question based on the given image: What is in the image?\n";
const LAYERS = 36;
/** Weights of the 3B's decoder layers and of its vision tower: each is used once per token or patch. */
const DECODER_WEIGHTS = LAYERS * (2 * 2048 * 2048 + 2 * 256 * 2048 + 3 * 2048 * 11008);
const VISION_WEIGHTS = 32 * (4 * 1280 * 1280 + 3 * 1280 * 3420);
const HEAD_WEIGHTS = 151_936 * 2048;
/** Bytes of weights that one step reads: values and scales of the decoder and of the output layer (blocks of 8 bits). */
const STEP_BYTES: Readonly<Record<WeightFormat, number>> = {
  fp32: 4 * (DECODER_WEIGHTS + HEAD_WEIGHTS),
  int8: DECODER_WEIGHTS + (1 + 4 / 32) * HEAD_WEIGHTS,
  int4: (0.5 + 4 / 32) * DECODER_WEIGHTS + (1 + 4 / 32) * HEAD_WEIGHTS,
};

interface Case {
  readonly name: string;
  readonly batch: number;
  readonly newTokens: number;
}

interface Measured extends Case {
  readonly seconds: number;
  readonly first: EmbedResult;
}

const { values } = parseArgs({
  options: {
    weights: { type: "string", default: "int8,int4" },
    python: { type: "string" },
    folder: { type: "string", default: join(tmpdir(), "rge-bench") },
    batch: { type: "string", default: "1,16" },
    tokens: { type: "string", default: "0,64,128" },
    threads: { type: "string", default: String(availableParallelism()) },
  },
});
const threads = Number(values.threads);
const cases = values.tokens.split(",").flatMap((tokens) =>
  values.batch.split(",").map((batch) => ({
    name: `${Number(tokens) === 0 ? "target" : `query, ${tokens} tokens`}, batch ${batch}`,
    batch: Number(batch),
    newTokens: Number(tokens),
  })),
);

const folder = randomCheckpoint(join(values.folder, "3b"), { layers: LAYERS, depth: 32, seed: 1 });
console.log(`${cpus()[0]?.model.trim() ?? "unknown processor"}, ${threads} threads, Node ${process.versions.node}`);
const limits = await machineLimits(threads);
console.log(
  `limits: reading ${limits.readGbPerS.toFixed(1)} GB/s, GEMM ${limits.float32Gflops.toFixed(0)} GFLOP/s float32, ${limits.int8Gflops.toFixed(0)} int8`,
);
const reference = values.python === undefined ? undefined : measureTransformers(values.python);
for (const weights of values.weights.split(",") as WeightFormat[]) await measureOurs(weights);

async function measureOurs(weights: WeightFormat): Promise<void> {
  console.log(`\n${weights}`);
  for (const { name, batch, newTokens } of cases) {
    await using rge = await Embedder.load(folder, { weights, batch, threads, cacheDir: join(values.folder, "cache") });
    const item = (i: number): EmbedItem => ({
      // The random model never ends by itself; each item has a prompt of its own.
      text: TEXT.replace("?\n", `${" ".repeat(i % 3)}?\n`),
      images: [IMAGE],
      minPixels: PIXELS,
      maxPixels: PIXELS,
      reason: newTokens === 0 ? false : { maxNewTokens: newTokens },
    });
    await rge.embed([{ ...item(0), reason: newTokens === 0 ? false : { maxNewTokens: 2 } }]);
    const start = performance.now();
    const results = await rge.embed(Array.from({ length: batch }, (_, i) => item(i)));
    report(weights, { name, batch, newTokens, seconds: (performance.now() - start) / 1000, first: results[0]! });
  }
}

function measureTransformers(python: string): Map<string, number> {
  const script = join(import.meta.dirname, "transformers_reference.py");
  const args = [script, folder, IMAGE, TEXT, String(PIXELS), String(threads), JSON.stringify(cases)];
  const { stdout, status, stderr } = spawnSync(python, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`transformers failed:\n${stderr}`);
  const [versions, ...lines] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  console.log(`transformers ${String(versions?.["transformers"])}, torch ${String(versions?.["torch"])}, bf16`);
  return new Map(lines.map((line) => [String(line["name"]), Number(line["seconds"])]));
}

function report(weights: WeightFormat, { name, batch, newTokens, seconds, first }: Measured): void {
  const theirs = reference?.get(name);
  const ratio =
    theirs === undefined
      ? ""
      : ` | transformers ${(batch / theirs).toFixed(4)} items/s (${theirs.toFixed(1)} s), ratio ${(theirs / seconds).toFixed(2)}`;
  console.log(`  ${name.padEnd(28)} ${(batch / seconds).toFixed(4)} items/s (${seconds.toFixed(1)} s)${ratio}`);
  const { visionMs, prefillMs, decodeMs } = first.timings;
  const gemm = weights === "fp32" ? limits.float32Gflops : limits.int8Gflops;
  const prefillShare = (2 * batch * first.promptTokens * DECODER_WEIGHTS) / (prefillMs * 1e6) / gemm;
  const visionShare = (2 * batch * 1024 * VISION_WEIGHTS) / (visionMs * 1e6) / gemm;
  let line = `    vision ${(visionMs / batch).toFixed(0)} ms an item, ${percent(visionShare)} of GEMM; prefill ${(prefillMs / batch).toFixed(0)} ms, ${percent(prefillShare)}`;
  if (newTokens > 0) {
    const step = decodeMs / newTokens;
    const bandwidth = STEP_BYTES[weights] / (step * 1e6) / limits.readGbPerS;
    const products = (2 * batch * (DECODER_WEIGHTS + HEAD_WEIGHTS)) / (step * 1e6);
    line += `; step ${step.toFixed(1)} ms, ${percent(bandwidth)} of bandwidth, ${percent(products / gemm)} of GEMM`;
  }
  console.log(line);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)}%`;
}
