/** Ctrl-C: the first stops the work in order, the second stops the program. */
import type { Messages } from "./messages.ts";

const STATUSES = { SIGINT: 130, SIGTERM: 143 } as const;

/** Turns the signals that ask a program to end into an `AbortSignal`. */
export class Interrupt implements Disposable {
  readonly #controller = new AbortController();
  readonly #messages: Messages;
  /** The exit status that the signal received stands for. */
  status: number | undefined;
  readonly #listener = (name: NodeJS.Signals): void => this.#receive(name as keyof typeof STATUSES);

  constructor(messages: Messages) {
    this.#messages = messages;
    for (const name of Object.keys(STATUSES)) process.on(name, this.#listener);
  }

  /** Aborted by the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const name of Object.keys(STATUSES)) process.off(name, this.#listener);
  }

  #receive(name: keyof typeof STATUSES): void {
    // oxlint-disable-next-line unicorn/no-process-exit -- the second signal is there to end what does not end by itself
    if (this.status !== undefined) process.exit(STATUSES[name]);
    this.status = STATUSES[name];
    this.#messages.notice("stopping; once more stops at once");
    this.#controller.abort();
  }
}
