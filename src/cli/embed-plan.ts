/** From the options of `rge embed` to what is to be done, checked before anything is loaded. */
import { NANO } from "../checkpoint/nano.ts";
import { WEIGHT_FORMATS } from "../embed/formats.ts";
import type { EmbedItem, LoadOptions } from "../embed/types.ts";
import { UsageError } from "../errors.ts";
import type { Arguments } from "./arguments.ts";
import type { ItemDefaults } from "./item-line.ts";

/** One item from the command line. */
export interface OneItem {
  readonly kind: "one";
  readonly fields: Pick<EmbedItem, "text" | "instruction"> & { readonly images: string[] };
}

/** Items from a file. */
export interface ItemLines {
  readonly kind: "lines";
  /** `-` is stdin. */
  readonly input: string;
  /** `-` is stdout. */
  readonly output: string;
  /** What to do with an output file that is there. */
  readonly existing: "refuse" | "resume" | "replace";
  readonly failFast: boolean;
}

/** Everything `rge embed` was asked for. */
export interface EmbedPlan {
  readonly model: string;
  /** Folder or hub name of an adapter. */
  readonly adapter: string | undefined;
  readonly load: Pick<LoadOptions, "weights" | "batch" | "threads" | "closingPrompt" | "cacheDir">;
  readonly defaults: ItemDefaults;
  readonly work: OneItem | ItemLines;
}

/** The options that say how a rationale is written. */
const REASON_OPTIONS = ["max-new-tokens", "on-budget", "temperature", "top-p", "seed", "repetition-penalty"] as const;
const ONE_ITEM_OPTIONS = ["text", "image", "instruction"] as const;
const LINES_OPTIONS = ["output", "resume", "force", "fail-fast"] as const;

/** @throws {UsageError} options that are missing, out of range, or that contradict each other */
export function embedPlan(args: Arguments): EmbedPlan {
  const model = args.text("model") ?? NANO;
  if (model === "") throw new UsageError("--model is empty: name a folder, or a model on the hub such as owner/name");
  if (args.positionals.length > 0)
    throw new UsageError(`embed takes no words beside its options, got "${args.positionals[0]}". Quote texts.`);
  const closingPrompt = args.text("closing-prompt");
  if (closingPrompt === "") throw new UsageError("--closing-prompt is empty: there would be no token to pool");
  const weights = args.choice("weights", WEIGHT_FORMATS);
  const defaults = itemDefaults(args);
  return {
    model,
    adapter: args.text("adapter"),
    load: {
      weights,
      batch: args.whole("batch", 1),
      threads: args.whole("threads", 1),
      closingPrompt,
      cacheDir: args.text("cache-dir"),
    },
    defaults,
    work: workOf(args, defaults),
  };
}

function itemDefaults(args: Arguments): ItemDefaults {
  const reason = args.toggle("reason");
  const reasonGiven = args.given(REASON_OPTIONS);
  if (reason === false && reasonGiven.length > 0)
    throw new UsageError(`--no-reason and --${reasonGiven[0]} contradict each other: nothing is written`);
  const [minPixels, maxPixels] = [args.whole("min-pixels", 1), args.whole("max-pixels", 1)];
  if (minPixels !== undefined && maxPixels !== undefined && minPixels > maxPixels)
    throw new UsageError(`--min-pixels ${minPixels} is above --max-pixels ${maxPixels}`);
  return {
    role: args.choice("role", ["query", "target"]) ?? "query",
    reason,
    reasonOptions: {
      maxNewTokens: args.whole("max-new-tokens", 1),
      onBudget: args.choice("on-budget", ["pool-last", "force-emb"]),
      temperature: args.number("temperature"),
      topP: args.number("top-p"),
      seed: args.whole("seed", 0),
      repetitionPenalty: args.number("repetition-penalty"),
    },
    minPixels,
    maxPixels,
  };
}

function workOf(args: Arguments, { role, reason }: ItemDefaults): OneItem | ItemLines {
  const input = args.text("input");
  const one = args.given(ONE_ITEM_OPTIONS);
  if (input === undefined) {
    const stray = args.given(LINES_OPTIONS)[0];
    if (stray !== undefined) throw new UsageError(`--${stray} goes with --input`);
    if (one.length === 0)
      throw new UsageError("nothing to embed: give --text or --image for one item, or --input for a file of items");
    const reasonGiven = args.given(REASON_OPTIONS)[0];
    if (reasonGiven !== undefined && !(reason ?? role === "query"))
      throw new UsageError(`--${reasonGiven} changes nothing for a target, which is embedded directly; add --reason`);
    return {
      kind: "one",
      fields: { text: args.text("text"), instruction: args.text("instruction"), images: [...args.texts("image")] },
    };
  }
  if (one.length > 0) throw new UsageError(`--input and --${one[0]} contradict each other: items come from the file`);
  const output = args.text("output") ?? "-";
  const [resume, force] = [args.has("resume"), args.has("force")];
  if (resume && force) throw new UsageError("--resume and --force contradict each other");
  if (output === "-" && (resume || force)) throw new UsageError("--resume and --force go with --output FILE");
  return {
    kind: "lines",
    input,
    output,
    existing: resume ? "resume" : force ? "replace" : "refuse",
    failFast: args.has("fail-fast"),
  };
}
