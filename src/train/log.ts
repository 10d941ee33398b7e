/** The log of a run: one JSON object a line, appended as it happens. */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

/** How the run began. */
export interface StartRecord {
  readonly type: "start";
  readonly time: string;
  readonly version: string;
  readonly model: string;
  readonly modelHash: string;
  readonly parameters: number;
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
export interface ProblemRecord {
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

/** Appends records to a file, each in one write, so that a kill leaves at most the last line torn. */
export class TrainingLog {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  write(record: LogRecord): void {
    appendFileSync(this.path, `${JSON.stringify(record)}\n`);
  }

  /** Drops what came after the checkpoint of `step`, and a torn last line; the file changes as a whole or not at all. */
  truncateAfter(step: number): void {
    if (!existsSync(this.path)) return;
    const kept = readLog(this.path).filter((record) => !("step" in record) || record.step <= step);
    const temporary = `${this.path}.${process.pid}.tmp`;
    writeFileSync(temporary, kept.map((record) => `${JSON.stringify(record)}\n`).join(""));
    renameSync(temporary, this.path);
  }
}

/** The records of a log; a torn last line is passed over. */
export function readLog(path: string): LogRecord[] {
  const lines = readFileSync(path, "utf8").split("\n");
  const whole = lines.slice(0, -1);
  return whole.filter((line) => line !== "").map((line) => JSON.parse(line) as LogRecord);
}
