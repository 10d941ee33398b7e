/** The log of a run: one JSON object a line, appended as it happens. */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { messageOf, TrainingError } from "../errors.ts";

/** How the run began. */
export interface StartRecord {
  readonly type: "start";
  readonly time: string;
  readonly version: string;
  readonly model: string;
  readonly modelHash: string;
  /** Numbers in the checkpoint's tensors. */
  readonly parameters: number;
  /** Numbers that are trained, a LoRA's factors among them. */
  readonly trained: number;
  readonly threads: number;
  readonly machine: string;
  readonly datasets: readonly {
    readonly name: string;
    readonly rows: number;
    readonly problems: number;
    readonly hash: string;
  }[];
  readonly config: unknown;
}

/** One update. */
export interface StepRecord {
  readonly type: "step";
  /** From 1. */
  readonly step: number;
  readonly dataset: string;
  /** This and the next are `null` where the mode lacks the term. */
  readonly lm: number | null;
  readonly contrastive: number | null;
  readonly loss: number;
  /** Share of the batch's queries that are nearest to their own target. */
  readonly hits: number | null;
  readonly gradNorm: number;
  readonly learningRate: number;
  readonly pairs: number;
  /** Rows through the decoder. */
  readonly tokens: number;
  readonly seconds: number;
  readonly generateSeconds: number;
  /** Share of rationales that ended by themselves; `null` where none were written. */
  readonly endedShare: number | null;
  readonly rationaleTokens: number | null;
  /** Share of rationales that are the oracle's word for word. */
  readonly oracleShare: number | null;
  readonly rssBytes: number;
}

/** What a validation dataset came to. */
export interface ValidationRecord {
  readonly type: "validation";
  readonly step: number;
  readonly dataset: string;
  readonly lm: number | null;
  readonly contrastive: number | null;
  /** Share of queries nearest to their own target among the candidates of their batch. */
  readonly p1: number | null;
  readonly endedShare: number | null;
  readonly oracleShare: number | null;
  readonly pairs: number;
}

/** A row that could not be used when its turn came. */
interface ProblemRecord {
  readonly type: "problem";
  readonly step: number;
  readonly place: string;
  readonly reason: string;
}

/** Every kind of line. */
export type LogRecord =
  | StartRecord
  | StepRecord
  | ValidationRecord
  | ProblemRecord
  | { readonly type: "checkpoint"; readonly step: number; readonly folder: string }
  | { readonly type: "resume"; readonly step: number; readonly time: string }
  | { readonly type: "end"; readonly step: number; readonly seconds: number; readonly reason: string };

/** JSON has no word for what is not finite, and `null` means a term that the mode lacks: a line has these as text. */
const number = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"]).transform(Number)]);
const stepNumber = z.int().nonnegative();
const place = {
  step: stepNumber,
  dataset: z.string(),
  lm: number.nullable(),
  contrastive: number.nullable(),
  pairs: number,
};
const shares = { endedShare: number.nullable(), oracleShare: number.nullable() };

const RECORD: z.ZodType<LogRecord> = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("start"),
    time: z.string(),
    version: z.string(),
    model: z.string(),
    modelHash: z.string(),
    parameters: number,
    trained: number,
    threads: number,
    machine: z.string(),
    datasets: z.array(z.object({ name: z.string(), rows: number, problems: number, hash: z.string() })),
    config: z.unknown(),
  }),
  z.object({
    type: z.literal("step"),
    ...place,
    ...shares,
    loss: number,
    hits: number.nullable(),
    gradNorm: number,
    learningRate: number,
    tokens: number,
    seconds: number,
    generateSeconds: number,
    rationaleTokens: number.nullable(),
    rssBytes: number,
  }),
  z.object({ type: z.literal("validation"), ...place, ...shares, p1: number.nullable() }),
  z.object({ type: z.literal("problem"), step: stepNumber, place: z.string(), reason: z.string() }),
  z.object({ type: z.literal("checkpoint"), step: stepNumber, folder: z.string() }),
  z.object({ type: z.literal("resume"), step: stepNumber, time: z.string() }),
  z.object({ type: z.literal("end"), step: stepNumber, seconds: number, reason: z.string() }),
]);

/** Appends records to a file, each in one write, so that a kill leaves at most the last line torn. */
export class TrainingLog {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Appends a record; numbers that are not finite are written as text, which `readLog` takes back. */
  write(record: LogRecord): void {
    const line = JSON.stringify(record, (_key, value: unknown) =>
      typeof value === "number" && !Number.isFinite(value) ? String(value) : value,
    );
    appendFileSync(this.path, `${line}\n`);
  }

  /**
   * Drops what came after the checkpoint of `step`, and a torn last line; the file changes as a whole or not at all.
   * To be called before a resumed run writes, or its first line would join the torn one.
   * @throws {TrainingError} a damaged line before the last
   */
  truncateAfter(step: number): void {
    if (!existsSync(this.path)) return;
    const kept = readRecords(this.path).filter(({ record }) => !("step" in record) || record.step <= step);
    const temporary = `${this.path}.${process.pid}.tmp`;
    // The lines as they were written: fields that this version does not know stay.
    writeFileSync(temporary, kept.map(({ line }) => `${line}\n`).join(""));
    renameSync(temporary, this.path);
  }
}

/**
 * The records of a log; a torn last line is passed over.
 * @throws {TrainingError} a damaged line before the last, by its number
 */
export function readLog(path: string): LogRecord[] {
  return readRecords(path).map(({ record }) => record);
}

function readRecords(path: string): { line: string; record: LogRecord }[] {
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.flatMap((line, i) => {
    if (line === "") return [];
    const damaged = (reason: string, cause: unknown): TrainingError =>
      new TrainingError(
        `${path}: line ${i + 1} is no record of a training log (${reason}). Only a last line may be torn; mend or remove this one.`,
        { cause },
      );
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      // No line break after it: the write was cut off.
      if (i === lines.length - 1) return [];
      throw damaged(messageOf(error), error);
    }
    const parsed = RECORD.safeParse(value);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw damaged(`${issue!.path.join(".") || "record"}: ${issue!.message}`, parsed.error);
    }
    return [{ line, record: parsed.data }];
  });
}
