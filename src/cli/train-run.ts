/** `rge train`: reads the settings, runs the training, tells how it goes. */
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { InputError, messageOf, RgeError, UsageError } from "../errors.ts";
import { readJsonFile } from "../json.ts";
import { parseTrainConfig, settings, type TrainConfig } from "../train/config.ts";
import type { LogRecord, StepRecord } from "../train/log.ts";
import { train } from "../train/loop.ts";
import type { Arguments } from "./arguments.ts";
import type { CommandContext } from "./command.ts";
import { flagOf } from "./commands/train.ts";
import { EXIT } from "./exit-status.ts";
import { localFolder } from "./load-model.ts";
import { writeText } from "./output.ts";

/** Largest settings file accepted, in bytes. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/**
 * Trains as the command line and its file of settings say.
 * @returns the exit status
 * @throws {UsageError} settings that cannot be carried out
 */
export async function trainRun(args: Arguments, context: CommandContext): Promise<number> {
  const { messages, interrupt } = context;
  const config = readSettings(args);
  if (args.has("resume") && args.has("force")) throw new UsageError("--resume and --force are both given");
  const model = await localFolder(config.model, context);
  const isJson = args.has("json");
  const show = (record: LogRecord): void => {
    if (record.type === "step")
      messages.progress.update({
        what: "training",
        done: record.step,
        total: config.steps,
        unit: "items",
        note: lossText(record),
      });
    else if (record.type === "validation") messages.notice(validationText(record));
    else if (record.type === "problem") messages.notice(`step ${record.step}: ${record.place}: ${record.reason}`);
    else if (record.type === "resume") messages.notice(`going on after step ${record.step}`);
  };
  try {
    const outcome = await train(
      { ...config, model },
      {
        resume: args.has("resume"),
        force: args.has("force"),
        signal: interrupt.signal,
        onRecord: show,
        onNotice: (text) => messages.notice(text),
      },
    );
    messages.progress.clear();
    if (!outcome.finished) messages.notice(`stopped after step ${outcome.step}; go on with --resume`);
    const lines = [...(outcome.model === undefined ? [] : [`model   ${outcome.model}`]), `report  ${outcome.report}`];
    await writeText(process.stdout, `${isJson ? JSON.stringify(outcome) : lines.join("\n")}\n`);
    interrupt.signal.throwIfAborted();
    return EXIT.done;
  } catch (error) {
    if (error instanceof InputError) throw new UsageError(error.message, { cause: error });
    throw error;
  } finally {
    messages.progress.clear();
  }
}

/** The file's settings with flags over them, paths made absolute. */
function readSettings(args: Arguments): TrainConfig {
  const [path, ...rest] = args.positionals;
  if (path === undefined || rest.length > 0)
    throw new UsageError(`train takes one file of settings, got ${args.positionals.length}`);
  let file: unknown;
  try {
    file = readJsonFile(path, { maxBytes: MAX_CONFIG_BYTES });
  } catch (error) {
    throw new UsageError(error instanceof RgeError ? error.message : messageOf(error), { cause: error });
  }
  const flags: Record<string, unknown> = {};
  for (const { key, kind } of settings()) {
    const flag = flagOf(key);
    const value =
      kind === "structure"
        ? undefined
        : kind === "switch"
          ? args.toggle(flag)
          : kind === "number"
            ? args.number(flag)
            : args.text(flag);
    if (value !== undefined) flags[key] = value;
  }
  const config = parseTrainConfig({ ...(file as object), ...flags }, path);
  const folder = dirname(resolve(path));
  const absolute = (dataset: TrainConfig["data"][number]): TrainConfig["data"][number] => ({
    ...dataset,
    path: resolve(folder, dataset.path),
    ...(dataset.imageRoot !== undefined && { imageRoot: resolve(folder, dataset.imageRoot) }),
  });
  return {
    ...config,
    // A flag's path is relative to where the command is given, the file's to the file.
    output: resolve("output" in flags ? process.cwd() : folder, config.output),
    // Anything that is no folder beside the file is a name on the hub.
    model:
      !("model" in flags) && existsSync(resolve(folder, config.model)) ? resolve(folder, config.model) : config.model,
    data: config.data.map(absolute),
    validation: config.validation.map(absolute),
  };
}

function lossText({ loss, lm, contrastive }: StepRecord): string {
  const parts = Object.entries({ lm, contrastive }).flatMap(([name, value]) =>
    value === null ? [] : [`${name} ${value.toFixed(3)}`],
  );
  return `loss ${loss.toFixed(3)} (${parts.join(", ")})`;
}

function validationText(record: Extract<LogRecord, { type: "validation" }>): string {
  const { lm, contrastive, p1, endedShare } = record;
  const parts = Object.entries({ lm, contrastive, "P@1": p1, "ended by <emb>": endedShare }).flatMap(([name, value]) =>
    value === null ? [] : [`${name} ${value.toFixed(3)}`],
  );
  return `step ${record.step}, ${record.dataset}: ${parts.join(", ")}`;
}
