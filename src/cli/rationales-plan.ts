/** From the options of `rge rationales` to what is to be done, checked before anything is read. */
import { dirname } from "node:path";
import { UsageError } from "../errors.ts";
import type { Arguments } from "./arguments.ts";

/** Everything `rge rationales` was asked for. */
export interface RationalesPlan {
  /** As given, with or without `/v1`. */
  readonly engine: string;
  readonly model: string;
  readonly input: string;
  readonly output: string;
  /** Where rows without a rationale go. */
  readonly rejects: string;
  /** Folder that image paths are relative to. */
  readonly imageRoot: string;
  /** File with other instructions. */
  readonly prompt: string | undefined;
  readonly maxWords: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  /** Takes so many rows from the start. */
  readonly limit: number | undefined;
  /** What to do with files of results that are there. */
  readonly existing: "refuse" | "resume" | "replace";
}

/** Node's fetch gives up by itself where no reply has begun after this time. */
const MAX_TIMEOUT_MS = 300_000;
/** Each request at a time holds its pictures. */
const MAX_CONCURRENCY = 1024;

/** @throws {UsageError} options that are missing, out of range, or that contradict each other */
export function rationalesPlan(args: Arguments): RationalesPlan {
  if (args.positionals.length > 0)
    throw new UsageError(`rationales takes no words beside its options, got "${args.positionals[0]}"`);
  const output = args.required("output", "the JSONL file that is written");
  const input = args.required("input", "a JSONL or parquet file of training rows");
  const [resume, force] = [args.has("resume"), args.has("force")];
  if (resume && force) throw new UsageError("--resume and --force contradict each other");
  const temperature = args.number("temperature") ?? 0;
  if (temperature < 0) throw new UsageError(`--temperature is a number from 0, got ${temperature}`);
  return {
    engine: args.required("engine", "the address of a chat endpoint, such as http://localhost:8000/v1"),
    model: args.required("model", "the name that the engine knows its model by"),
    input,
    output,
    rejects: args.text("rejects") ?? rejectsOf(output),
    imageRoot: args.text("image-root") ?? dirname(input),
    prompt: args.text("prompt"),
    maxWords: args.whole("max-words", 1) ?? 100,
    maxTokens: args.whole("max-tokens", 1) ?? 128,
    temperature,
    concurrency: atMost("concurrency", args.whole("concurrency", 1) ?? 8, MAX_CONCURRENCY),
    timeoutMs: atMost("timeout-ms", args.whole("timeout-ms", 1) ?? 120_000, MAX_TIMEOUT_MS),
    maxRetries: args.whole("max-retries", 0) ?? 5,
    limit: args.whole("limit", 1),
    existing: resume ? "resume" : force ? "replace" : "refuse",
  };
}

function atMost(name: string, value: number, most: number): number {
  if (value > most) throw new UsageError(`--${name} is at most ${most}, got ${value}`);
  return value;
}

/** `train.rationales.jsonl` -> `train.rationales.rejects.jsonl` */
function rejectsOf(output: string): string {
  return `${output.replace(/\.jsonl$/, "")}.rejects.jsonl`;
}
