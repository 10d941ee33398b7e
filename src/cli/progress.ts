/** Tells on stderr how far long work has come: a bar that redraws itself on a terminal, seldom a plain line elsewhere. */
import { formatBytes, formatCount, formatDuration } from "./units.ts";

/** How far a piece of work is. */
export interface Step {
  /** Names the work; a change of it starts the clock anew. */
  readonly what: string;
  readonly done: number;
  /** `undefined` where nobody knows. */
  readonly total: number | undefined;
  readonly unit: "bytes" | "items";
  /** Stands at the end of the line. */
  readonly note?: string;
}

/** Where progress is written: `process.stderr`, or a stand-in. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Shortest time between two drawings of the bar. */
const DRAW_INTERVAL_MS = 100;
/** Time between two plain lines, and before the first. */
const LINE_INTERVAL_MS = 5000;
/** Rates and times left are shown from here on; before, they jump. */
const SETTLED_MS = 1000;
const BAR_CELLS = 20;
/** Width of a terminal that does not tell its own. */
const DEFAULT_COLUMNS = 80;
const ERASE_LINE = "\r\u001b[K";

/** Shows one piece of work at a time. */
export class Progress {
  readonly #screen: Screen;
  readonly #now: () => number;
  readonly #quiet: boolean;
  #what: string | undefined;
  #startedMs = 0;
  #startedAt = 0;
  #shownMs = -Infinity;
  #lineMs: number | undefined;
  #drawn = false;

  /** @param options.quiet shows nothing at all */
  constructor(screen: Screen, options: { quiet: boolean; now?: () => number }) {
    this.#screen = screen;
    this.#quiet = options.quiet;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Shows `step`, unless the last one was shown a moment ago. */
  update(step: Step): void {
    if (this.#quiet) return;
    const nowMs = this.#now();
    const isNew = step.what !== this.#what;
    if (isNew) {
      this.#what = step.what;
      this.#startedMs = nowMs;
      // What an earlier run left (a resumed download) is not this run's speed.
      this.#startedAt = step.done;
    }
    const pace = { elapsedMs: nowMs - this.#startedMs, since: this.#startedAt };
    if (this.#screen.isTTY) {
      if (!isNew && step.done !== step.total && nowMs - this.#shownMs < DRAW_INTERVAL_MS) return;
      const line = formatStep(step, { ...pace, bar: true });
      // A terminal without a size, as some recorders have, says 0.
      const columns = this.#screen.columns || DEFAULT_COLUMNS;
      // One column stays free: some terminals wrap when the last one is written.
      this.#screen.write(`${ERASE_LINE}${line.slice(0, columns - 1)}`);
      this.#shownMs = nowMs;
      this.#drawn = true;
      return;
    }
    this.#lineMs ??= nowMs;
    if (nowMs - this.#lineMs < LINE_INTERVAL_MS) return;
    this.#lineMs = nowMs;
    this.#screen.write(`${formatStep(step, { ...pace, bar: false })}\n`);
  }

  /** Takes the bar off the screen, before anything else is written there. */
  clear(): void {
    if (this.#drawn) this.#screen.write(ERASE_LINE);
    this.#drawn = false;
    this.#shownMs = -Infinity;
  }
}

/** How a step came about: time since its work began, and how much was done by then. */
export interface Pace {
  readonly elapsedMs: number;
  readonly since: number;
  /** Draw a bar, where the total is known. */
  readonly bar: boolean;
}

/** `"model.safetensors [#####...............]  25%  1.0 GiB / 4.0 GiB  64.0 MiB/s  48.0 s left"` */
export function formatStep({ what, done, total, unit, note }: Step, { elapsedMs, since, bar }: Pace): string {
  const amount = (count: number): string => (unit === "bytes" ? formatBytes(count) : formatCount(Math.round(count)));
  const parts = [what];
  if (total === undefined || total === 0) parts.push(amount(done));
  else {
    const share = Math.min(1, done / total);
    const filled = Math.round(share * BAR_CELLS);
    if (bar) parts[0] += ` [${"#".repeat(filled)}${".".repeat(BAR_CELLS - filled)}]`;
    parts.push(`${String(Math.floor(share * 100)).padStart(3)}%`, `${amount(done)} / ${amount(total)}`);
  }
  const perMs = (done - since) / elapsedMs;
  if (elapsedMs >= SETTLED_MS && perMs > 0) {
    parts.push(formatRate(perMs * 1000, unit));
    if (total !== undefined && done < total) parts.push(`${formatDuration((total - done) / perMs)} left`);
  }
  if (note !== undefined) parts.push(note);
  return parts.join("  ");
}

/** Work that takes longer than a second per item is told per minute. */
function formatRate(perSecond: number, unit: Step["unit"]): string {
  if (unit === "bytes") return `${formatBytes(perSecond)}/s`;
  return perSecond < 1 ? `${(perSecond * 60).toFixed(1)}/min` : `${perSecond.toFixed(1)}/s`;
}
