/** What charts are drawn with: scales, round ticks, paths, and the figure that an inline SVG stands in. */
import { escapeHtml } from "./html.ts";

/** Two ends. */
export type Span = readonly [from: number, to: number];

/** A figure's parts; all but the SVG's content is plain text, escaped here. */
export interface FigureParts {
  readonly title: string;
  /** What the chart says, for those who do not see it. */
  readonly told: string;
  /** Of the viewBox. */
  readonly width: number;
  readonly height: number;
  /** SVG elements. */
  readonly content: string;
  /** HTML under the chart. */
  readonly legend: string;
}

/** Colours of lines and bars, `var(--c0)` to `var(--c5)`. */
export const CHART_COLOURS = 6;

/** Colours of a page with charts, on light and on dark ground, and what figures look like. */
export const CHART_STYLE: string = `
:root{color-scheme:light dark;--text:#1b1f24;--soft:#5b6570;--line:#d5dae0;--back:#fff;--c0:#0b62c4;--c1:#b3430e;--c2:#1b7f4b;--c3:#7a3fb0;--c4:#8a6d00;--c5:#b0235f}
@media (prefers-color-scheme:dark){:root{--text:#e7ebf0;--soft:#9aa5b1;--line:#39414a;--back:#14181d;--c0:#6fb2ff;--c1:#ff9d66;--c2:#68d39b;--c3:#c79bf2;--c4:#e0c24d;--c5:#ff8fb8}}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr));gap:18px}
figure{margin:0}figcaption{font-weight:600;margin-bottom:2px}svg{width:100%;height:auto;display:block}
svg text{fill:var(--soft);font-size:11px}.legend{font-size:.82rem;color:var(--soft)}
`;

/** From values to places in a picture; a range without extent lies in the middle. */
export function linearScale([low, high]: Span, [from, to]: Span): (value: number) => number {
  return (value) => from + (high === low ? 0.5 : (value - low) / (high - low)) * (to - from);
}

/** A path through points that lie in the picture already. */
export function linePath(points: readonly Span[]): string {
  return points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** About five multiples of 1, 2 or 5 times a power of ten. */
export function roundTicks([low, high]: Span): number[] {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((it) => it * power >= rough)!;
  const from = Math.ceil(low / step);
  const count = Math.floor(high / step) - from + 1;
  // Multiplied, not added up: 0.1 + 0.2 is not 0.3.
  return Array.from({ length: count }, (_, i) => Number(((from + i) * step).toPrecision(6)));
}

/** A chart with its title and legend. */
export function figure({ title, told, width, height, content, legend }: FigureParts): string {
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(`${title}. ${told}`)}">${content}</svg><div class="legend">${legend}</div></figure>`;
}
