/** Curves of a training run as SVG text. */
import { escapeHtml } from "../html.ts";
import { CHART_COLOURS, figure, linearScale, linePath } from "../svg-chart.ts";

/** A line of a chart; a point without a value leaves a gap. */
export interface Curve {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number | null])[];
  /** Draws a running mean over the raw values, which fade. */
  readonly smooth: boolean;
}

const [WIDTH, HEIGHT] = [360, 190];
const MARGIN = { left: 46, right: 8, top: 8, bottom: 22 };
/** Points drawn per line: more than there are pixels to tell them apart. */
const MOST_POINTS = 400;
/** Share of the steps that a running mean looks back over. */
const WINDOW = 1 / 30;

/** A chart with its title and legend; an empty string where no line has a value. */
export function chart(title: string, curves: readonly Curve[]): string {
  const drawn = curves
    .map((curve) => ({ ...curve, points: thinned(curve.points.filter(isFinitePoint)) }))
    .filter(({ points }) => points.length > 0);
  if (drawn.length === 0) return "";
  const all = drawn.flatMap(({ points }) => points);
  const [low, high] = padded(Math.min(...all.map(([, y]) => y)), Math.max(...all.map(([, y]) => y)));
  const [first, last] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))];
  const right = WIDTH - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;
  const toX = linearScale([first, last], [MARGIN.left, right]);
  const toY = linearScale([low, high], [bottom, MARGIN.top]);
  const path = (points: readonly (readonly [number, number])[]): string =>
    linePath(points.map(([x, y]) => [toX(x), toY(y)]));
  const lines = drawn.map(({ points, smooth }, i) => {
    const colour = `var(--c${i % CHART_COLOURS})`;
    const line = (d: string, opacity: number): string =>
      `<path d="${d}" fill="none" stroke="${colour}" stroke-width="1.6" stroke-opacity="${opacity}"/>`;
    const dots =
      points.length > 1
        ? ""
        : points.map(([x, y]) => `<circle cx="${toX(x)}" cy="${toY(y)}" r="3" fill="${colour}"/>`).join("");
    if (!smooth || points.length < 20) return line(path(points), 1) + dots;
    return line(path(points), 0.25) + line(path(runningMean(points)), 1);
  });
  const ticks = [low, (low + high) / 2, high].map(
    (value) =>
      `<line x1="${MARGIN.left}" x2="${right}" y1="${toY(value)}" y2="${toY(value)}" stroke="var(--line)"/><text x="${MARGIN.left - 5}" y="${toY(value) + 4}" text-anchor="end">${shortNumber(value)}</text>`,
  );
  const feet = [
    `<text x="${MARGIN.left}" y="${HEIGHT - 6}">${first}</text>`,
    `<text x="${right}" y="${HEIGHT - 6}" text-anchor="end">step ${last}</text>`,
  ];
  const told = drawn.map(
    ({ name, points }) => `${name}: ${shortNumber(points[0]![1])} to ${shortNumber(points.at(-1)![1])}`,
  );
  const legend = drawn.map(
    ({ name, points }, i) =>
      `<span style="color:var(--c${i % CHART_COLOURS})">■</span> ${escapeHtml(name)} ${shortNumber(points.at(-1)![1])}`,
  );
  return figure({
    title,
    told: told.join("; "),
    width: WIDTH,
    height: HEIGHT,
    content: [...ticks, ...lines, ...feet].join(""),
    legend: legend.join(" &nbsp; "),
  });
}

function isFinitePoint(point: readonly [number, number | null]): point is readonly [number, number] {
  return point[1] !== null && Number.isFinite(point[1]);
}

/** At most `MOST_POINTS`, each the mean of a stretch. */
function thinned(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  if (points.length <= MOST_POINTS) return [...points];
  const per = points.length / MOST_POINTS;
  return Array.from({ length: MOST_POINTS }, (_, i) => {
    const stretch = points.slice(Math.floor(i * per), Math.floor((i + 1) * per));
    const mean = (axis: 0 | 1): number => stretch.reduce((sum, point) => sum + point[axis], 0) / stretch.length;
    return [Math.round(mean(0)), mean(1)] as const;
  });
}

function runningMean(points: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const window = Math.max(5, Math.round(points.length * WINDOW));
  let sum = 0;
  return points.map(([x, y], i) => {
    sum += y - (i >= window ? points[i - window]![1] : 0);
    return [x, sum / Math.min(window, i + 1)] as const;
  });
}

/** A range with some room, never empty. */
function padded(low: number, high: number): [number, number] {
  if (low === high) return [low - Math.abs(low) * 0.1 - 1e-9, high + Math.abs(high) * 0.1 + 1e-9];
  const room = (high - low) * 0.05;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

/** Three digits that matter. */
function shortNumber(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size < 1e-2 || size >= 1e5 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}
