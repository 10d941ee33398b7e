/** Charts of the report as SVG text: means with their intervals, and how long rationales are. */
import { escapeHtml } from "../html.ts";
import { figure, linearScale, roundTicks } from "../svg-chart.ts";
import { between, percent, whole } from "./report-table.ts";
import type { Interval } from "./types.ts";

/** A share with its interval, under a name. */
export interface NamedShare extends Interval {
  readonly name: string;
  readonly value: number;
  /** `IND` is drawn as a disc, `OOD` as a ring. */
  readonly kind: "IND" | "OOD";
}

/** Queries of some length of rationale. */
export interface LengthBar {
  readonly from: number;
  /** Share of all queries that their rationale ended, and that the budget ended. */
  readonly ended: number;
  readonly overrun: number;
}

/** How often the first candidate is right, among queries of some length of rationale. */
export interface LengthShare extends Interval {
  readonly from: number;
  /** The last length that counts. */
  readonly to: number;
  readonly value: number;
  readonly queries: number;
}

const WIDTH = 360;
const SIDES = { left: 12, right: 12 };
const ROW = 32;
const PERCENTS = [0, 0.25, 0.5, 0.75, 1];

/** A row per share, on a scale from 0 to 100. */
export function shareRows(title: string, shares: readonly NamedShare[], legend: string): string {
  const toX = linearScale([0, 1], [SIDES.left, WIDTH - SIDES.right]);
  const bottom = shares.length * ROW + 8;
  const grid = PERCENTS.map(
    (share) =>
      `<line x1="${toX(share)}" x2="${toX(share)}" y1="4" y2="${bottom}" stroke="var(--line)"/><text x="${toX(share)}" y="${bottom + 14}" text-anchor="middle">${100 * share}</text>`,
  );
  const rows = shares.map(({ name, value, low, high, kind }, i) => {
    const [text, line] = [i * ROW + 14, i * ROW + 26];
    const [colour, fill] = kind === "IND" ? ["var(--c0)", "var(--c0)"] : ["var(--c1)", "var(--back)"];
    return `<g><title>${escapeHtml(`${name}: ${percent(value)}, 95% ${between({ low, high })}`)}</title><text x="${SIDES.left}" y="${text}" class="name">${escapeHtml(name)}</text><text x="${WIDTH - SIDES.right}" y="${text}" text-anchor="end" class="name">${percent(value)}</text><line x1="${SIDES.left}" x2="${WIDTH - SIDES.right}" y1="${line}" y2="${line}" stroke="var(--line)"/><line x1="${toX(low).toFixed(1)}" x2="${toX(high).toFixed(1)}" y1="${line}" y2="${line}" stroke="${colour}" stroke-width="3" stroke-opacity="0.45"/><circle cx="${toX(value).toFixed(1)}" cy="${line}" r="4" fill="${fill}" stroke="${colour}" stroke-width="2"/></g>`;
  });
  return figure({
    title,
    told: shares
      .map(({ name, kind, value, ...interval }) => `${name}, ${kind}: ${percent(value)}, ${between(interval)}`)
      .join("; "),
    width: WIDTH,
    height: bottom + 20,
    content: [...grid, ...rows].join(""),
    legend,
  });
}

/**
 * Queries by the length of their rationales, those that the budget ended on top.
 * @param maxTokens where the scale ends
 */
export function lengthBars(title: string, bars: readonly LengthBar[], maxTokens: number, legend: string): string {
  const [width, height, foot] = [230, 110, 94];
  const toX = linearScale([0, maxTokens], [6, width - 6]);
  const most = Math.max(...bars.map(({ ended, overrun }) => ended + overrun));
  const toY = linearScale([0, most], [foot, 6]);
  const barWidth = (width - 12) / bars.length - 1;
  const drawn = (part: (bar: LengthBar) => Interval): string =>
    bars
      .filter((bar) => part(bar).high > part(bar).low)
      .map((bar) => {
        const [low, high] = [toY(part(bar).low), toY(part(bar).high)];
        return `M${toX(bar.from).toFixed(1)} ${low.toFixed(1)}h${barWidth.toFixed(1)}V${high.toFixed(1)}h${(-barWidth).toFixed(1)}z`;
      })
      .join("");
  const ticks = roundTicks([0, maxTokens]).map(
    (tokens) => `<text x="${toX(tokens).toFixed(1)}" y="${height - 2}" text-anchor="middle">${tokens}</text>`,
  );
  return figure({
    title,
    told: bars
      .filter(({ ended, overrun }) => ended + overrun > 0)
      .map(
        ({ from, ended, overrun }) =>
          `from ${from} tokens ${percent(ended + overrun)}%${overrun > 0 ? `, of which ended by the budget ${percent(overrun)}%` : ""}`,
      )
      .join("; "),
    width,
    height,
    content: [
      `<line x1="6" x2="${width - 6}" y1="${foot}" y2="${foot}" stroke="var(--line)"/>`,
      `<path d="${drawn(({ ended }) => ({ low: 0, high: ended }))}" fill="var(--c0)"/>`,
      `<path d="${drawn(({ ended, overrun }) => ({ low: ended, high: ended + overrun }))}" fill="var(--c1)"/>`,
      ...ticks,
    ].join(""),
    legend,
  });
}

/** How often the first candidate is right by the length of rationales; an empty string where there are none. */
export function sharesByLength(title: string, shares: readonly LengthShare[], legend: string): string {
  if (shares.length === 0) return "";
  const [height, left, top] = [210, 30, 10];
  const foot = height - 40;
  const toX = linearScale([0, shares.length], [left, WIDTH - 4]);
  const toY = linearScale([0, 1], [foot, top]);
  const grid = PERCENTS.map(
    (share) =>
      `<line x1="${left}" x2="${WIDTH - 4}" y1="${toY(share)}" y2="${toY(share)}" stroke="var(--line)"/><text x="${left - 5}" y="${toY(share) + 4}" text-anchor="end">${100 * share}</text>`,
  );
  const marks = shares.map(({ from, to, value, low, high, queries }, i) => {
    const x = toX(i + 0.5).toFixed(1);
    return `<g><title>${from} to ${to} tokens: ${percent(value)}, 95% ${between({ low, high })}, ${whole(queries)} queries</title><line x1="${x}" x2="${x}" y1="${toY(low).toFixed(1)}" y2="${toY(high).toFixed(1)}" stroke="var(--c0)" stroke-width="3" stroke-opacity="0.45"/><circle cx="${x}" cy="${toY(value).toFixed(1)}" r="4" fill="var(--c0)"/><text x="${x}" y="${foot + 16}" text-anchor="middle">${from}</text><text x="${x}" y="${foot + 32}" text-anchor="middle" class="few">${whole(queries)}</text></g>`;
  });
  return figure({
    title,
    told: shares
      .map(
        ({ from, to, value, queries, ...interval }) =>
          `${from} to ${to} tokens: ${percent(value)}, ${between(interval)}, ${whole(queries)} queries`,
      )
      .join("; "),
    width: WIDTH,
    height,
    content: [...grid, ...marks].join(""),
    legend,
  });
}
