/**
 * What reasoning adds, and what it costs: arms that start from the same model (the end of stage "practise") and have the
 * same data, batch and seeds, each trained and evaluated. What is there already is not done again.
 *
 *   npm run nano:ablation -- --steps 600
 *
 * - `rge`: as nano, for `--steps` steps.
 * - `direct`: contrast without rationales, the paper's baseline, as many steps.
 * - `direct-time`: `direct` for as many more steps as fit in the time that `rge` took, by the logs of the two before.
 * - `oracle`: contrast on the oracle's rationales, which are not there when the model is used.
 * - `direct-lm`: `direct` with the LM term kept (first seed only, to show which baseline is the stronger).
 */
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { readLog } from "../src/train/index.ts";
import { beforeReason, prepare, rge, stage } from "./make.ts";

/** An arm of the comparison: flags of `rge train`, and the budgets it is evaluated at. */
interface Arm {
  readonly name: string;
  readonly flags: readonly string[];
  readonly budgets: string;
  readonly seeds: readonly number[];
  /** How many steps, where not `--steps`. */
  readonly steps?: (seed: number) => number;
}

const SEEDS = [0, 1, 2];
const DIRECT = ["--mode", "direct", "--ar-weight", "0"];

const { values } = parseArgs({
  options: {
    work: { type: "string", default: join(import.meta.dirname, "work") },
    steps: { type: "string", default: "600" },
  },
});
const work = resolve(values.work);
const steps = Number(values.steps);
const arms: readonly Arm[] = [
  { name: "rge", flags: ["--mode", "rge"], budgets: "0,64", seeds: SEEDS },
  { name: "direct", flags: DIRECT, budgets: "0", seeds: SEEDS },
  {
    name: "direct-time",
    flags: DIRECT,
    budgets: "0",
    seeds: SEEDS,
    steps: (seed) => Math.round((steps * secondsOf(`rge-${seed}`)) / secondsOf(`direct-${seed}`)),
  },
  { name: "oracle", flags: ["--mode", "oracle"], budgets: "64,oracle", seeds: SEEDS },
  { name: "direct-lm", flags: ["--mode", "direct"], budgets: "0", seeds: [0] },
];
const { scenes } = prepare(work);
beforeReason(work);
mkdirSync(join(work, "ablation"), { recursive: true });
for (const seed of SEEDS) for (const arm of arms) if (arm.seeds.includes(seed)) runArm(arm, seed);

function runArm({ name, flags, budgets, steps: ownSteps }: Arm, seed: number): void {
  const run = join("ablation", `${name}-${seed}`);
  const length = ownSteps?.(seed) ?? steps;
  const model = stage(work, "reason", run, [...flags, "--seed", `${seed}`, "--steps", `${length}`]);
  const output = join(work, `${run}.json`);
  if (!existsSync(output)) rge(["eval", "--data", scenes, "--model", model, "--budgets", budgets, "--output", output]);
}

/** A run's usual seconds a step; the median, as other work on the machine shows in the mean. */
function secondsOf(run: string): number {
  const seconds = readLog(join(work, "ablation", run, "log.jsonl"))
    .flatMap((record) => (record.type === "step" ? [record.seconds] : []))
    .sort((a, b) => a - b);
  return seconds[Math.floor(seconds.length / 2)]!;
}
