/** Everything that goes to stderr: remarks, errors, progress. stdout belongs to results. */
import { EngineError, HubError, messageOf } from "../errors.ts";
import { StatusError, statusOf } from "./exit-status.ts";
import { Progress, type Screen } from "./progress.ts";

/** How messages look. */
export interface MessageOptions {
  /** One JSON object per line, no progress. */
  readonly json: boolean;
  /** Errors only. */
  readonly quiet: boolean;
  /** Errors with their stacks and causes. */
  readonly debug: boolean;
}

/** Writes to stderr in one style. */
export class Messages {
  readonly progress: Progress;
  readonly #screen: Screen;
  readonly #options: MessageOptions;

  constructor(screen: Screen, options: MessageOptions) {
    this.#screen = screen;
    this.#options = options;
    this.progress = new Progress(screen, { quiet: options.json || options.quiet });
  }

  /** A remark that is no error. */
  notice(text: string): void {
    if (this.#options.quiet) return;
    this.#write(this.#options.json ? JSON.stringify({ notice: text }) : `rge: ${printable(text)}`);
  }

  /** Why the program ends. */
  error(error: unknown): void {
    const { json, debug } = this.#options;
    const shown = error instanceof StatusError ? error.cause : error;
    const message = messageOf(shown);
    const stack = debug ? stackOf(shown) : undefined;
    if (json) {
      const name = shown instanceof Error ? shown.name : "Error";
      const httpStatus = shown instanceof HubError || shown instanceof EngineError ? shown.status : undefined;
      this.#write(JSON.stringify({ error: { name, message, exitStatus: statusOf(error), httpStatus, stack } }));
    } else this.#write(`rge: ${printable(stack ?? message)}`);
  }

  #write(line: string): void {
    this.progress.clear();
    this.#screen.write(`${line}\n`);
  }
}

/**
 * `text` for a terminal: control characters but line break and tab become U+FFFD, as file names and what a model writes
 * could otherwise move the cursor or change the title.
 */
export function printable(text: string): string {
  return text.replaceAll(/(?![\n\t])[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return messageOf(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by: ${stackOf(error.cause)}`;
}
