/**
 * A training step beside PyTorch's, in one run on the same shapes and numbers: forward, backward, clipping and AdamW of
 * models of Qwen2.5-VL's architecture with 2, 5 and 20 million parameters, and the whole RGE step with its generation.
 *
 *   node bench/training.ts [--python PATH_TO_PYTHON_WITH_TRANSFORMERS] [--sizes 2,5,20] [--batch 64] [--steps 5]
 *                          [--rounds 2] [--kinds plain,step,rge] [--threads N] [--folder DIR] [--recompute]
 *
 * Each side computes the same losses, which are printed and must agree (a random model's own rationales differ after a few
 * tokens, and so the losses of RGE steps). `--recompute` also measures ours with activations computed again. Nothing else
 * may run meanwhile.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { machineLimits } from "./limits.ts";
import { randomCheckpoint, type Widths } from "./random-checkpoint.ts";
import { trainingBatch, type StepKind, type StepTimes } from "./training-step.ts";

/** Layers of the decoder and of the vision tower, and their widths. */
const SIZES: Readonly<Record<string, { layers: number; depth: number; widths: Widths }>> = {
  "2": {
    layers: 4,
    depth: 3,
    widths: {
      text: { hidden: 192, intermediate: 512, heads: 6, kvHeads: 2, headDim: 32, vocab: 1024 },
      vision: { hidden: 128, intermediate: 256, heads: 4 },
    },
  },
  "5": {
    layers: 6,
    depth: 4,
    widths: {
      text: { hidden: 256, intermediate: 704, heads: 8, kvHeads: 4, headDim: 32, vocab: 1024 },
      vision: { hidden: 128, intermediate: 352, heads: 4 },
    },
  },
  "20": {
    layers: 5,
    depth: 4,
    widths: {
      text: { hidden: 512, intermediate: 1408, heads: 8, kvHeads: 4, headDim: 64, vocab: 1024 },
      vision: { hidden: 256, intermediate: 704, heads: 4 },
    },
  },
};

const NAMES: Readonly<Record<StepKind, string>> = {
  plain: "training step, nothing shared",
  step: "training step",
  rge: "RGE step",
};

const { values } = parseArgs({
  options: {
    python: { type: "string" },
    sizes: { type: "string", default: "2,5,20" },
    kinds: { type: "string", default: "plain,step,rge" },
    batch: { type: "string", default: "64" },
    steps: { type: "string", default: "5" },
    rounds: { type: "string", default: "2" },
    recompute: { type: "boolean", default: false },
    folder: { type: "string", default: join(tmpdir(), "rge-bench") },
    threads: { type: "string", default: String(availableParallelism()) },
  },
});
const threads = Number(values.threads);
const [batch, steps, rounds] = [Number(values.batch), Number(values.steps), Number(values.rounds)];

console.log(`${cpus()[0]?.model.trim() ?? "unknown processor"}, ${threads} threads, Node ${process.versions.node}`);
const { float32Gflops } = await machineLimits(threads);
console.log(`limit: GEMM ${float32Gflops.toFixed(0)} GFLOP/s float32 (2048^3)`);
mkdirSync(values.folder, { recursive: true });
for (const size of values.sizes.split(",")) {
  const sizes = SIZES[size]!;
  const folder = randomCheckpoint(join(values.folder, `train-${size}m-${sizes.layers}`), { ...sizes, seed: 1 });
  for (const kind of values.kinds.split(",") as StepKind[]) {
    const work = join(values.folder, `work-${size}-${kind}.json`);
    writeFileSync(work, JSON.stringify(trainingBatch(kind, batch, sizes.widths.text.vocab)));
    const args = [folder, work, String(steps), String(threads)];
    const { python } = values;
    let [ours, theirs] = [undefined, undefined] as (StepTimes | undefined)[];
    // Turn about, the better of each: a virtual machine's speed changes by the minute.
    for (let round = 0; round < rounds; round++) {
      ours = faster(ours, measure(process.execPath, "training-step.ts", [...args, "false"]));
      if (python !== undefined) theirs = faster(theirs, measure(python, "training_reference.py", args));
    }
    if (ours === undefined) throw new Error("--rounds is a whole number from 1");
    console.log(
      `\n${NAMES[kind]}, ${ours.parameters / 1e6} M parameters, ${batch} pairs, ${ours.tokens} tokens a step`,
    );
    report("rge", ours);
    if (values.recompute) report("again", measure(process.execPath, "training-step.ts", [...args, "true"]));
    if (theirs === undefined) continue;
    report("torch", theirs);
    console.log(
      `  ratio ${(ours.seconds / theirs.seconds).toFixed(3)} of PyTorch's time; losses differ by ${lossGap(ours, theirs)}`,
    );
  }
}

function faster(before: StepTimes | undefined, now: StepTimes): StepTimes {
  return before === undefined || now.seconds < before.seconds ? now : before;
}

/** Runs one side in a process of its own; its last line of output is what it measured. */
function measure(program: string, script: string, args: readonly string[]): StepTimes {
  const { stdout, status, stderr } = spawnSync(program, [join(import.meta.dirname, script), ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`${script} failed:\n${stderr}`);
  return { gflop: 0, ...(JSON.parse(stdout.trim().split("\n").at(-1)!) as Omit<StepTimes, "gflop">) };
}

function report(name: string, { seconds, generateSeconds, gflop, losses, peakBytes }: StepTimes): void {
  const rate = gflop / (seconds - generateSeconds);
  const generation = generateSeconds > 0 ? `, of it generation ${generateSeconds.toFixed(3)} s` : "";
  const share = gflop > 0 ? `, ${rate.toFixed(0)} GFLOP/s = ${((100 * rate) / float32Gflops).toFixed(0)}% of GEMM` : "";
  console.log(
    `  ${name.padEnd(6)} ${seconds.toFixed(3)} s a step${generation}${share}, peak memory ${(peakBytes / 2 ** 20).toFixed(0)} MiB, losses ${losses.map((loss) => loss.map((it) => it.toFixed(4)).join("+")).join(" ")}`,
  );
}

function lossGap(ours: StepTimes, theirs: StepTimes): string {
  const gaps = ours.losses.flatMap((loss, i) => loss.map((value, j) => Math.abs(value - theirs.losses[i]![j]!)));
  return Math.max(...gaps).toExponential(1);
}
