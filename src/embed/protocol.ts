/** Messages between the Embedder and its worker. */
import * as errors from "../errors.ts";
import type { CheckedItem } from "./check-item.ts";
import type { ModelRequest } from "./model.ts";
import type { EngineResult } from "./engine.ts";
import type { LoadProgress, ModelInfo } from "./types.ts";

/** What the worker is started with. */
export interface WorkerRequest extends ModelRequest {
  readonly batch: number;
  readonly closingPrompt: string | undefined;
}

/** To the worker. */
export type ToWorker =
  | { readonly type: "embed"; readonly id: number; readonly item: CheckedItem; readonly follow: boolean }
  | { readonly type: "embed-together"; readonly ids: readonly number[]; readonly items: readonly CheckedItem[] }
  | { readonly type: "abort"; readonly ids: readonly number[] }
  | { readonly type: "close" };

/** From the worker. */
export type FromWorker =
  | { readonly type: "progress"; readonly progress: LoadProgress }
  | { readonly type: "ready"; readonly info: ModelInfo; readonly repetitionPenalty: number }
  | { readonly type: "failed"; readonly error: SentError }
  | { readonly type: "rationale"; readonly id: number; readonly text: string }
  | { readonly type: "result"; readonly id: number; readonly result: EngineResult }
  | { readonly type: "error"; readonly id: number; readonly error: SentError }
  | { readonly type: "closed" };

/** An error as plain data: structured cloning would turn our classes into bare Error. */
interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/** An error ready to be posted. */
export function packError(error: unknown): SentError {
  const known = error instanceof Error ? error : new Error(String(error));
  return { name: known.name, message: known.message, stack: known.stack };
}

const CLASSES: Readonly<Record<string, new (message: string, options?: ErrorOptions) => Error>> = {
  CheckpointError: errors.CheckpointError,
  ShapeError: errors.ShapeError,
  InputError: errors.InputError,
  ImageError: errors.ImageError,
  RationaleError: errors.RationaleError,
  RuntimeError: errors.RuntimeError,
};

/** The error as it was thrown, of its own class; its stack in the worker is the cause's. */
export function unpackError({ name, message, stack }: SentError): Error {
  const cause = new Error(message);
  if (stack !== undefined) cause.stack = stack;
  return new (CLASSES[name] ?? errors.RuntimeError)(message, { cause });
}
