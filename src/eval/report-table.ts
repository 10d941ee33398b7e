/** The report's figures and tables as text. */
import { escapeHtml } from "../html.ts";
import type { Interval } from "./types.ts";

/** `70.1` of 0.7012. */
export function percent(share: number): string {
  return (100 * share).toFixed(1);
}

/** `69.2 to 71.0`. */
export function between({ low, high }: Interval): string {
  return `${percent(low)} to ${percent(high)}`;
}

const thousands = new Intl.NumberFormat("en-US");

/** `36,000`. */
export function whole(count: number): string {
  return thousands.format(count);
}

/** A list, its end left out where it is long. */
export function listed(names: readonly string[], most: number): string {
  if (names.length <= most) return names.join(", ");
  return `${names.slice(0, most).join(", ")} and ${whole(names.length - most)} more`;
}

/** What a table consists of. */
export interface TableParts {
  /** For those who do not see it. */
  readonly label: string;
  /** Contents of the columns' heads, as HTML. */
  readonly head: readonly string[];
  /** As HTML, by `tableRow`. */
  readonly rows: readonly string[];
  /** Long, with heads that stay in sight and sort. @default false */
  readonly isSortable?: boolean;
}

/** A table that scrolls by itself where the page is narrow, with the keyboard too. */
export function table({ label, head, rows, isSortable = false }: TableParts): string {
  const cells = head.map((content) => `<th scope="col">${content}</th>`).join("");
  const [outer, inner] = isSortable ? ["wide tall", ' class="sortable"'] : ["wide", ""];
  return `<div class="${outer}" tabindex="0" role="region" aria-label="${escapeHtml(label)}"><table${inner}><thead><tr>${cells}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

/**
 * A row under its name.
 * @param name HTML
 * @param cells whole `td` elements
 */
export function tableRow(name: string, cells: readonly string[], className?: string): string {
  return `<tr${className === undefined ? "" : ` class="${className}"`}><th scope="row">${name}</th>${cells.join("")}</tr>`;
}

/** A cell of HTML. */
export function cell(content: string): string {
  return `<td>${content}</td>`;
}
