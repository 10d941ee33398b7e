/** The options by which verbs name a model and how it is loaded. */
import { WEIGHT_FORMATS } from "../embed/formats.ts";
import type { Arguments, OptionSpec } from "./arguments.ts";
import type { EmbedPlan } from "./embed-plan.ts";

/**
 * Options as `--help` shows them.
 * @param help of `--model`
 * @param many whether items are embedded together
 */
export function modelOptions(help: string, many: boolean): OptionSpec[] {
  return [
    { name: "model", value: "M", help },
    { name: "adapter", value: "A", help: "A PEFT LoRA adapter, merged at load." },
    { name: "weights", value: "T", help: `${WEIGHT_FORMATS.join(", ")}. [int8]` },
    ...(many ? [{ name: "batch", value: "N", help: "Items embedded together. [16]" }] : []),
    { name: "threads", value: "N", help: "Threads inside one operator. [all cores]" },
  ];
}

/** What the options say. */
export function modelPlan(
  args: Arguments,
  model: string,
  { many }: { readonly many: boolean },
): Pick<EmbedPlan, "model" | "adapter" | "load"> {
  return {
    model,
    adapter: args.text("adapter"),
    load: {
      weights: args.choice("weights", WEIGHT_FORMATS),
      batch: many ? args.whole("batch", 1) : 1,
      threads: args.whole("threads", 1),
      closingPrompt: undefined,
      cacheDir: undefined,
    },
  };
}
