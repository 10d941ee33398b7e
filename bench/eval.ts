/**
 * Evaluating Scenes with nano: items a second, and how busy the cores are, with one copy of the model on all cores beside
 * one copy per core. Nothing else may run meanwhile.
 *
 *   node bench/eval.ts [--data FOLDER_OF_SCENES] [--limit 100]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeScenes } from "../src/scenes/write.ts";
import type { EvalResults } from "../src/eval/types.ts";

/** Of the kernel's clock, which `/proc` counts in. */
const TICKS_PER_SECOND = 100;
const SAMPLE_MS = 200;

const { values } = parseArgs({
  options: { data: { type: "string" }, limit: { type: "string", default: "100" } },
});
const work = mkdtempSync(join(tmpdir(), "rge-bench-eval-"));
const cores = availableParallelism();

interface Measured {
  readonly seconds: number;
  readonly busy: number;
  readonly items: number;
}

/** Runs `rge eval mmeb`, and reads how much processor time it has taken until it ends. */
async function run(data: string, name: string, options: readonly string[]): Promise<Measured> {
  const out = join(work, name);
  const main = join(import.meta.dirname, "../src/cli/main.ts");
  const args = ["eval", "mmeb", "--data", data, "--out", out, "--limit", values.limit, "--quiet", ...options];
  const startMs = performance.now();
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  let ticks = 0;
  const timer = setInterval(() => (ticks = ticksOf(child.pid!) ?? ticks), SAMPLE_MS);
  const [status] = (await once(child, "close")) as [number];
  clearInterval(timer);
  if (status !== 0) throw new Error(`rge eval mmeb ended with ${status}`);
  const seconds = (performance.now() - startMs) / 1000;
  const { datasets } = JSON.parse(readFileSync(join(out, "results.json"), "utf8")) as EvalResults;
  const items = datasets.reduce((sum, { queries, targets }) => sum + queries + targets, 0);
  return { seconds, busy: ticks / TICKS_PER_SECOND / seconds / cores, items };
}

/** User and system time of a process and its threads, or `undefined` when it has ended. */
function ticksOf(pid: number): number | undefined {
  try {
    // After the name, which may hold anything but is in brackets, the 12th and 13th fields.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return Number(fields[11]) + Number(fields[12]);
  } catch {
    return undefined;
  }
}

try {
  let { data } = values;
  if (data === undefined) {
    data = join(work, "scenes");
    await writeScenes(data, {
      train: 0,
      eval: Number(values.limit),
      seed: 1,
      preview: false,
      signal: new AbortController().signal,
    });
  }
  const tell = (what: string, { seconds, busy, items }: Measured): void =>
    console.log(
      `${what}: ${items} items in ${seconds.toFixed(1)} s, ${(items / seconds).toFixed(0)} a second; cores ${(100 * busy).toFixed(0)}% busy`,
    );
  const one = await run(data, "one", ["--replicas", "1"]);
  tell(`one copy, ${cores} threads`, one);
  const each = await run(data, "each", ["--replicas", String(cores)]);
  tell(`${cores} copies, one thread each (the default)`, each);
  console.log(`ratio ${(one.seconds / each.seconds).toFixed(2)}`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
