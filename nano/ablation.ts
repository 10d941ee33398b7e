/**
 * What reasoning adds, and what it costs: arms that start from the same model (stage "see") and have the same data, batch
 * and seeds, each trained and evaluated. What is there already is not done again.
 *
 *   npm run nano:ablation -- --steps 600 --seconds-ratio 1.9
 *
 * - `rge`: as nano, for `--steps` steps.
 * - `direct`: contrast without rationales, the paper's baseline, as many steps.
 * - `direct-lm`: the same with the LM term kept (first seed only, to show which baseline is the stronger).
 * - `direct-time`: `direct` for as long as `rge` took: steps times `--seconds-ratio`, which `bench/nano-steps.ts` measures.
 * - `oracle`: contrast on the oracle's rationales, which are not there when the model is used.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { prepare, rge, stage } from "./make.ts";

/** An arm of the comparison: flags of `rge train`, and the budgets it is evaluated at. */
interface Arm {
  readonly name: string;
  readonly flags: readonly string[];
  readonly budgets: string;
  /** Multiplies the steps. */
  readonly longer: number;
  readonly seeds: readonly number[];
}

const SEEDS = [0, 1, 2];

const { values } = parseArgs({
  options: {
    work: { type: "string", default: join(import.meta.dirname, "work") },
    steps: { type: "string", default: "600" },
    "seconds-ratio": { type: "string", default: "1.9" },
  },
});
const work = resolve(values.work);
const steps = Number(values.steps);
const arms: readonly Arm[] = [
  { name: "rge", flags: ["--mode", "rge"], budgets: "0,64", longer: 1, seeds: SEEDS },
  { name: "direct", flags: ["--mode", "direct", "--ar-weight", "0"], budgets: "0", longer: 1, seeds: SEEDS },
  {
    name: "direct-time",
    flags: ["--mode", "direct", "--ar-weight", "0"],
    budgets: "0",
    longer: Number(values["seconds-ratio"]),
    seeds: SEEDS,
  },
  { name: "oracle", flags: ["--mode", "oracle"], budgets: "64,oracle", longer: 1, seeds: SEEDS },
  { name: "direct-lm", flags: ["--mode", "direct"], budgets: "0", longer: 1, seeds: [0] },
];
const { scenes } = prepare(work);
stage(work, "see", "see");
mkdirSync(join(work, "ablation"), { recursive: true });
for (const seed of SEEDS)
  for (const { name, flags, budgets, longer, seeds } of arms) {
    if (!seeds.includes(seed)) continue;
    const run = join("ablation", `${name}-${seed}`);
    const model = stage(work, "reason", run, [
      ...flags,
      "--seed",
      `${seed}`,
      "--steps",
      `${Math.round(steps * longer)}`,
      "--save-as",
      "float32",
    ]);
    const output = join(work, `${run}.json`);
    if (!existsSync(output))
      rge(["eval", "--data", scenes, "--model", model, "--budgets", budgets, "--output", output]);
  }
