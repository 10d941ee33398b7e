/**
 * Every error class of the package. A class stands for a thing a caller treats differently; the message says which
 * file or operator, what was expected against what was found, and what to do. Bugs of ours start with "internal:".
 */

/** Common root, so that a caller can tell this package's own errors from everything else. */
export class RgeError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A checkpoint's files are missing, damaged, hostile, or of a kind that no loader here knows. */
export class CheckpointError extends RgeError {}

/** The hub could not be reached or refused; a retry may help, unless `status` is 401, 403 or 404. */
export class HubError extends RgeError {
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  constructor(message: string, options?: ErrorOptions & { status?: number }) {
    super(message, options);
    this.status = options?.status;
  }
}

/** A chat endpoint refused, or did not answer as one; a retry may help, unless `status` is 400, 401, 403 or 404. */
export class EngineError extends RgeError {
  /** HTTP status, where there was an answer. */
  readonly status: number | undefined;
  constructor(message: string, options?: ErrorOptions & { status?: number }) {
    super(message, options);
    this.status = options?.status;
  }
}

/** Shapes or dtypes that do not fit an operator, or a graph that is not legal. */
export class ShapeError extends RgeError {}

/** An item that cannot be embedded as given: text, slots, roles, options. */
export class InputError extends RgeError {}

/** A picture that cannot be read or that goes past a limit. */
export class ImageError extends InputError {}

/** A dataset that cannot be read, or that holds nothing to work on. */
export class DatasetError extends RgeError {}

/** A collection that refuses what it is given, or is none of ours. */
export class StoreError extends RgeError {}

/** No such collection, version or item. */
export class AbsentError extends StoreError {}

/** The store itself failed: no room or no rights on the disk, files that are damaged or went away. Its cause says more. */
export class StoreFailure extends StoreError {}

/** A training run that cannot go on: numbers that are not finite, or a state that does not fit. */
export class TrainingError extends RgeError {}

/** A rationale that did not end as the caller required. */
export class RationaleError extends RgeError {}

/** The worker or a session in it failed. */
export class RuntimeError extends RgeError {}

/** A command line that cannot be carried out as written. */
export class UsageError extends RgeError {}

/** What `error` says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
