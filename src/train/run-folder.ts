/** The output folder of a run, and whether what is in it belongs to these settings. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../errors.ts";
import type { TrainConfig } from "./config.ts";
import type { Dataset } from "./datasets.ts";
import { findCheckpoints } from "./save.ts";

/** Names in the folder. */
export const RUN_FILES = {
  checkpoints: "checkpoints",
  model: "model",
  log: "log.jsonl",
  report: "report.html",
} as const;

/**
 * The checkpoint to go on from, where that is asked for and there is one.
 * @throws {UsageError} a folder that holds something, and neither `resume` nor `force`
 */
export function findResume(
  output: string,
  { resume = false, force = false, onNotice }: { resume?: boolean; force?: boolean; onNotice?: (text: string) => void },
): { folder: string; step: number } | undefined {
  const holds = existsSync(output) && readdirSync(output).length > 0;
  if (resume) {
    const last = findCheckpoints(join(output, RUN_FILES.checkpoints)).at(-1);
    if (last === undefined) onNotice?.(`${output}: no checkpoint there; starting from the beginning`);
    return last;
  }
  if (holds && !force)
    throw new UsageError(`${output} holds a run already: --resume goes on with it, --force replaces it`);
  return undefined;
}

/** Makes the folder, without what an earlier run left in it; other files stay. */
export function clearOutput(output: string): void {
  mkdirSync(output, { recursive: true });
  for (const name of Object.values(RUN_FILES)) rmSync(join(output, name), { recursive: true, force: true });
  writeFileSync(join(output, RUN_FILES.log), "");
}

/** Everything that the numbers of a run depend on. */
export function dependsOn(config: TrainConfig, modelHash: string, data: readonly Dataset[]): Record<string, unknown> {
  const { model: _m, output: _o, data: _d, validation: _v, validateEvery: _ve, validationPairs: _vp, ...rest } = config;
  const { saveEvery: _s, keep: _k, saveAs: _a, threads: _t, ...settings } = rest;
  return {
    ...settings,
    model: modelHash,
    data: data.map(({ config: { name, weight, limit }, hash }) => ({ name, weight, limit, hash })),
  };
}

/** SHA-256 of a value's JSON, in hex. */
export function digest(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

/** Keys whose values are not the same. */
export function differences(
  before: Readonly<Record<string, unknown>>,
  now: Readonly<Record<string, unknown>>,
): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...keys].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(now[key]));
}
