/** `rge scenes`: the folder appears whole or not at all. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { writeScenes } from "../scenes/write.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { EXIT } from "./exit-status.ts";
import { writeText } from "./output.ts";
import { formatCount, formatDuration } from "./units.ts";

const MAX_ROWS = 10_000_000;
const MAX_SEED = 0xffff_ffff;

/**
 * Writes the benchmark.
 * @returns the exit status
 * @throws {UsageError} options that are missing or out of range, a folder that is there
 */
export async function runScenes(args: Arguments, { messages, interrupt }: CommandContext): Promise<number> {
  if (args.positionals.length > 0)
    throw new UsageError(`scenes takes no words beside its options, got "${args.positionals[0]}"`);
  const out = args.required("out", "the folder that is made");
  const counts = { train: args.whole("train", 0) ?? 2000, eval: args.whole("eval", 0) ?? 500 };
  for (const [name, count] of Object.entries(counts))
    if (count > MAX_ROWS) throw new UsageError(`--${name} is at most ${MAX_ROWS}, got ${count}`);
  if (counts.train + counts.eval === 0) throw new UsageError("--train and --eval are both 0: nothing to write");
  const seed = args.whole("seed", 0) ?? 0;
  if (seed > MAX_SEED) throw new UsageError(`--seed is at most ${MAX_SEED}, got ${seed}`);
  const folder = resolve(out);
  const isThere = existsSync(folder) && readdirSync(folder).length > 0;
  if (isThere && !args.has("force")) throw new UsageError(`${out} is there and not empty. --force replaces it.`);
  // Only what this verb wrote is removed.
  if (isThere && !existsSync(join(folder, "scenes.json")))
    throw new UsageError(`${out} holds something else than Scenes (there is no scenes.json); it is left alone`);
  const partial = `${folder}.partial-${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  mkdirSync(partial);
  const startedMs = performance.now();
  try {
    const written = await writeScenes(partial, {
      ...counts,
      seed,
      preview: args.has("preview"),
      signal: interrupt.signal,
      onProgress: (done, total, note) => messages.progress.update({ what: "scenes", done, total, unit: "items", note }),
    });
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
    messages.progress.clear();
    if (args.has("json")) await writeText(process.stdout, `${JSON.stringify({ folder, ...written })}\n`);
    else
      messages.notice(
        `${formatCount(written.trainRows)} training rows, ${formatCount(written.evalRows)} queries and ${formatCount(written.pictures)} pictures in ${out} (${formatDuration(performance.now() - startedMs)})`,
      );
    return EXIT.done;
  } finally {
    messages.progress.clear();
    rmSync(partial, { recursive: true, force: true });
  }
}
