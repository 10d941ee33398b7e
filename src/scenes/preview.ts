/** A page that shows some rows of each dataset, for a person to look at. */
import { escapeHtml } from "../html.ts";
import { IMAGE_SLOT, type MetaTask } from "./task.ts";
import { SCENE_DATASETS } from "./datasets.ts";
import type { Split } from "./world.ts";

/** A side as the page shows it; `image` is "" where there is none. */
interface PreviewSide {
  readonly text: string;
  readonly image: string;
}

/** A row as the page shows it. */
export interface PreviewRow {
  readonly split: Split;
  readonly query: PreviewSide;
  readonly gold: PreviewSide;
  readonly others: readonly PreviewSide[];
  readonly rationale: string;
}

const STYLE = `
body { font: 14px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }
h2 { margin: 2rem 0 .3rem } small { color: #666; font-weight: normal }
.row { display: flex; gap: 1rem; align-items: flex-start; border-top: 1px solid #ddd; padding: .6rem 0 }
.side { max-width: 15rem } .others { display: flex; gap: .5rem; color: #666; max-width: 40rem; flex-wrap: wrap; font-size: 12px }
.others .side { max-width: 9rem } img { display: block; image-rendering: auto; width: 112px } .others img { width: 72px }
.gold { font-weight: 600 } .why { max-width: 22rem; font-style: italic }
`;

/** The page; pictures are taken from beside it. */
export function previewHtml(rowsOf: ReadonlyMap<string, readonly PreviewRow[]>): string {
  const sections = SCENE_DATASETS.flatMap(({ name, metaTask, ood, hops }) => {
    const rows = rowsOf.get(name) ?? [];
    return rows.length === 0 ? [] : [section(name, metaTask, `${ood ? "OOD" : "IND"}, ${hops} steps`, rows)];
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Scenes</title><style>${STYLE}</style>
<h1>Scenes</h1><p>Each row: the query, the rationale, what is to be found, some of the other candidates.</p>
${sections.join("\n")}</html>\n`;
}

function section(name: string, metaTask: MetaTask, note: string, rows: readonly PreviewRow[]): string {
  const lines = rows.map(
    ({ split, query, gold, others, rationale }) =>
      `<div class="row"><div class="side">${sideHtml(query)}<small>${split}</small></div><div class="why">${escapeHtml(rationale)}</div><div class="side gold">${sideHtml(gold)}</div><div class="others">${others.map((other) => `<div class="side">${sideHtml(other)}</div>`).join("")}</div></div>`,
  );
  return `<h2>${name} <small>${metaTask}, ${note}</small></h2>${lines.join("\n")}`;
}

function sideHtml({ text, image }: PreviewSide): string {
  const picture = image === "" ? "" : `<img src="${escapeHtml(image)}" alt="">`;
  return `${picture}${escapeHtml(text.replace(IMAGE_SLOT, ""))} `;
}
