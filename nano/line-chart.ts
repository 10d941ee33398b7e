/** A line chart as an SVG file of its own, for documents. */
import { linearScale, linePath, roundTicks } from "../src/svg-chart.ts";

/** A line and its points. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const [WIDTH, HEIGHT] = [560, 300];
const MARGIN = { left: 44, right: 120, top: 30, bottom: 28 };
const COLOURS = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#111111"];

/** The chart; lines are named at their right ends. */
export function lineChart(title: string, lines: readonly Line[]): string {
  const all = lines.flatMap(({ points }) => points);
  const [left, right] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))];
  const [low, high] = [Math.min(0, ...all.map(([, y]) => y)), Math.max(...all.map(([, y]) => y)) * 1.05];
  const toX = linearScale([left, right], [MARGIN.left, WIDTH - MARGIN.right]);
  const toY = linearScale([low, high], [HEIGHT - MARGIN.bottom, MARGIN.top]);
  const levels = roundTicks([low, high]).map((y) => {
    const at = toY(y);
    return `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at.toFixed(1)}" y2="${at.toFixed(1)}" stroke="#ddd"/>
<text x="${MARGIN.left - 6}" y="${(at + 4).toFixed(1)}" text-anchor="end">${y}</text>`;
  });
  const feet = roundTicks([left, right]).map(
    (x) => `<text x="${toX(x).toFixed(1)}" y="${HEIGHT - 8}" text-anchor="middle">${x}</text>`,
  );
  // Names at the right, kept apart.
  const ends = lines.map(({ points }, i) => ({ i, y: toY(points.at(-1)![1]) })).sort((a, b) => a.y - b.y);
  ends.forEach((end, at) => (end.y = Math.max(end.y, (ends[at - 1]?.y ?? -Infinity) + 14)));
  const drawn = ends.map(({ i, y }) => {
    const { name, points } = lines[i]!;
    const colour = COLOURS[i % COLOURS.length];
    const path = linePath(points.map(([px, py]) => [toX(px), toY(py)]));
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.8"/><text x="${WIDTH - MARGIN.right + 6}" y="${(y + 4).toFixed(1)}" fill="${colour}">${name}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>
<text x="${MARGIN.left}" y="18" font-size="13" font-weight="bold">${title}</text>
${[...levels, ...feet].join("\n")}
${drawn.join("\n")}
</svg>
`;
}
