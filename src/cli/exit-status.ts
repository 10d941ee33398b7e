/** What the exit status of `rge` says; scripts depend on these numbers. */
import { CheckpointError, DatasetError, EngineError, HubError, UsageError } from "../errors.ts";

/** Every status but those of signals, with the line that the help prints for it. */
export const EXIT = { done: 0, itemsFailed: 1, usage: 2, noModel: 3, failed: 4, outputClosed: 141 } as const;

/** Each status and what it means, for `--help`. */
export const EXIT_MEANINGS: readonly (readonly [status: number, meaning: string])[] = [
  [EXIT.done, "everything was done"],
  [EXIT.itemsFailed, "items failed; with --input the others were done"],
  [EXIT.usage, "the command line cannot be carried out as written"],
  [EXIT.noModel, "the model could not be found, downloaded, loaded or reached"],
  [EXIT.failed, "anything else, such as a full disk"],
  [130, "interrupted by Ctrl-C (143 by SIGTERM)"],
  [EXIT.outputClosed, "whoever read the output went away, as in `rge embed ... | head`"],
];

/** An error together with the status that it ends the program with, where its class does not say. */
export class StatusError extends Error {
  readonly status: number;
  constructor(status: number, cause: Error) {
    super(cause.message, { cause });
    this.status = status;
  }
}

/** The exit status for what was thrown. */
export function statusOf(error: unknown): number {
  if (error instanceof StatusError) return error.status;
  if (isClosedPipe(error)) return EXIT.outputClosed;
  // What --input names is part of the command line.
  if (error instanceof UsageError || error instanceof DatasetError) return EXIT.usage;
  const isOfModel = error instanceof CheckpointError || error instanceof HubError || error instanceof EngineError;
  if (isOfModel) return EXIT.noModel;
  return EXIT.failed;
}

/** Whether a write failed because the reading end of a pipe is closed. */
export function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}
