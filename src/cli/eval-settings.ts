/** How items of an evaluation are embedded: options over a benchmark's defaults. */
import { resolve } from "node:path";
import type { WeightFormat } from "../embed/types.ts";
import { UsageError } from "../errors.ts";
import type { Benchmark, BenchmarkDefaults } from "../eval/benchmark.ts";
import type { EvalPlan, Reasoning } from "../eval/evaluate.ts";
import { NO_RULES, readRules, type RuleSet } from "../eval/rules.ts";
import type { EvalSettings } from "../eval/types.ts";
import type { Arguments } from "./arguments.ts";

/** Settings with the rules that go with them. */
export interface SettingsAndRules {
  readonly settings: EvalSettings;
  readonly queryRules: RuleSet;
  readonly targetRules: RuleSet;
}

/**
 * What the options say.
 * @throws {UsageError} values that cannot be
 * @throws {DatasetError} a file of rules that cannot be read
 */
export function evalSettings(args: Arguments, { defaults }: Benchmark, weights: WeightFormat): SettingsAndRules {
  const penalty = args.number("repetition-penalty", "a number above 0");
  if (penalty !== undefined && penalty <= 0) throw new UsageError(`--repetition-penalty is above 0, got ${penalty}`);
  return {
    settings: {
      weights,
      minPixels: args.whole("min-pixels", 1) ?? defaults.minPixels,
      maxPixels: args.whole("max-pixels", 1) ?? defaults.maxPixels,
      minSide: args.whole("min-side", 1) ?? defaults.minSide,
      maxNewTokens: args.whole("max-new-tokens", 0) ?? defaults.maxNewTokens,
      onBudget: args.choice("on-budget", ["pool-last", "force-emb"] as const) ?? defaults.onBudget,
      repetitionPenalty: penalty ?? null,
    },
    queryRules: rulesOf(args.text("query-rules"), defaults.queryRules),
    targetRules: rulesOf(args.text("target-rules"), defaults.targetRules),
  };
}

function rulesOf(text: string | undefined, otherwise: BenchmarkDefaults["queryRules"]): RuleSet {
  if (text === undefined || text === "default") return otherwise;
  return text === "none" ? NO_RULES : readRules(resolve(text));
}

/** Bounds of pictures. */
export function boundsOf({ minPixels, maxPixels, minSide }: EvalSettings): EvalPlan["bounds"] {
  return {
    minPixels: minPixels ?? undefined,
    maxPixels: maxPixels ?? undefined,
    minSide: minSide ?? undefined,
  };
}

/** How queries reason. */
export function reasoningFrom({ maxNewTokens, onBudget, repetitionPenalty }: EvalSettings): Reasoning {
  if (maxNewTokens === 0) return "direct";
  return { maxNewTokens, onBudget, ...(repetitionPenalty !== null && { repetitionPenalty }) };
}
