import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { DatasetError } from "../../../src/errors.ts";
import { readQueries, type EmbeddedDataset } from "../../../src/eval/report-queries.ts";
import { evalReport } from "../../../src/eval/report.ts";
import type { EvalResults } from "../../../src/eval/types.ts";
import { makeRun, meanOf, queries, type MadeDataset, type MadeQuery } from "./report-run.ts";

const root = mkdtempSync(join(tmpdir(), "rge-eval-report-"));
after(() => rmSync(root, { recursive: true, force: true }));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "run-"));
});

function embeddedOf(html: string): EmbeddedDataset[] {
  const blocks = html.matchAll(/<script type="application\/json" class="queries">(.*?)<\/script>/gs);
  return [...blocks].map(([, json]) => JSON.parse(json!) as EmbeddedDataset);
}

/** The file that an address leads to from the page. */
function pathOf(address: string): string {
  const { protocol, pathname, search, hash } = new URL(address, `file://${folder}/report.html`);
  assert.deepEqual([protocol, search, hash], ["file:", "", ""]);
  return decodeURIComponent(pathname);
}

async function refused(results: EvalResults, message: RegExp): Promise<void> {
  await assert.rejects(evalReport(folder, results), (error: Error) => {
    assert.ok(error instanceof DatasetError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

describe("hostile texts", () => {
  const hostile = `</script><script>alert("1")</script>'<img src=x onerror=alert(2)><!--&amp;\u2028`;

  test("become neither markup nor the end of a script, and come back as they are", async () => {
    const image = resolve(root, `"><img src=y>.png`);
    const made = { text: hostile, rationale: hostile, rightText: hostile, images: [image], rightImages: [image] };
    const provenance = { model: hostile, machine: hostile, data: hostile, commit: hostile, dataRevision: hostile };
    const html = await evalReport(
      folder,
      makeRun(folder, [{ name: "GQA", metaTask: hostile, queries: [made] }], {
        provenance: { ...provenance, queryRules: { name: hostile, hash: hostile } },
        means: { metaTasks: { [hostile]: meanOf(0.5, 1) } },
      }),
    );
    assert.deepEqual(html.match(/<\/?script\b[^>]*>/g), [
      '<script type="application/json" class="queries">',
      "</script>",
      "<script>",
      "</script>",
    ]);
    assert.doesNotMatch(html, /<img|<!--/);
    const [dataset] = embeddedOf(html);
    const query = dataset!.queries[0]!;
    for (const side of [query.query, query.rationale, query.right[0]])
      assert.equal(dataset!.sides[side]!.text, hostile);
    assert.equal(pathOf(dataset!.pictures[0]!), image);
    assert.ok(
      html.includes(`<title>MMEB: ${hostile.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)}</title>`),
    );
  });

  test("the page allows its own script only, and nothing from the network", async () => {
    const html = await evalReport(folder, makeRun(folder, [{ name: "GQA", queries: queries(1, 1) }]));
    const script = html.match(/<script>(.*?)<\/script>/s)![1]!;
    const hash = createHash("sha256").update(script).digest("base64");
    assert.ok(html.includes(`default-src 'none'`) && html.includes(`script-src 'sha256-${hash}'"`));
    assert.doesNotMatch(html, /https?:|<link|@import|url\(/);
  });

  test("addresses of pictures lead from the folder to the file, whatever its name", async () => {
    const paths = ["a b.png", "50%25.png", "#1?.png", "javascript:alert(1)", "ä'\"&.png", "..png"].map((name) =>
      resolve(root, "pictures", name),
    );
    const html = await evalReport(folder, makeRun(folder, [{ name: "GQA", queries: [{ images: paths }] }]));
    const { pictures } = embeddedOf(html)[0]!;
    assert.equal(pictures[0], "../pictures/a%20b.png");
    assert.deepEqual(pictures.map(pathOf), paths);
    // A path that is none stays in the folder.
    const odd = makeRun(folder, [{ name: "GQA", queries: [{ images: ["https://example.com/a.png", "\ud800"] }] }]);
    assert.deepEqual(embeddedOf(await evalReport(folder, odd))[0]!.pictures, [
      "https%3A/example.com/a.png",
      "%EF%BF%BD",
    ]);
  });
});

describe("queries in the page", () => {
  test("are at most 200 of a dataset, right and wrong in proportion and evenly spread", async () => {
    // Every fourth is wrong.
    const many = Array.from({ length: 1000 }, (_, i): MadeQuery => ({ rank: i % 4 === 3 ? 7 : 1 }));
    const html = await evalReport(folder, makeRun(folder, [{ name: "GQA", queries: many }]));
    const shown = embeddedOf(html)[0]!.queries;
    assert.equal(shown.length, 200);
    assert.equal(shown.filter(({ rank }) => rank === 1).length, 150);
    const rows = shown.map(({ place }) => Number(place.split(" ").at(-1)));
    for (const quarter of [0, 1, 2, 3])
      assert.ok(
        Math.abs(rows.filter((row) => Math.floor(row / 250) === quarter).length - 50) <= 1,
        `quarter ${quarter}`,
      );
    assert.match(html, /200 of 1,000 queries are embedded/);
    assert.match(html, /<option value="0">GQA \(200 of 1,000\)<\/option>/);
    assert.equal(html, await evalReport(folder, makeRun(folder, [{ name: "GQA", queries: many }])));
  });

  test("are fewer where they would be too many bytes, in the same proportion", async () => {
    const many = queries(100, 80, { rationale: "long ".repeat(50) });
    const { datasets } = makeRun(folder, [{ name: "GQA", queries: many }]);
    const whole = await readQueries(folder, datasets[0]!, 1e6);
    assert.equal(whole.shown, 100);
    const bytes = Math.floor(Buffer.byteLength(whole.json) / 2);
    const part = await readQueries(folder, datasets[0]!, bytes);
    assert.ok(Buffer.byteLength(part.json) <= bytes && part.shown >= 40, `${part.shown} shown`);
    const { queries: shown } = JSON.parse(part.json) as EmbeddedDataset;
    assert.equal(shown.length, part.shown);
    assert.equal(shown.filter(({ rank }) => rank === 1).length, Math.round(part.shown * 0.8));
    assert.equal(part.outcomes.length, 100);
    assert.equal((await readQueries(folder, datasets[0]!, 100)).shown, 0);
  });

  test("have the start of a long text, and say how much more there is", async () => {
    const text = `${"x".repeat(3999)}😀${"y".repeat(10)}`;
    const images = Array.from({ length: 70 }, (_, i) => resolve(root, `${i}.png`));
    const { datasets } = makeRun(folder, [{ name: "GQA", queries: [{ text, images }] }]);
    const { sides, queries: shown } = JSON.parse(
      (await readQueries(folder, datasets[0]!, 1e6)).json,
    ) as EmbeddedDataset;
    const side = sides[shown[0]!.query]!;
    assert.deepEqual([side.text, side.moreText], ["x".repeat(3999), 12]);
    assert.deepEqual([side.pictures.length, side.morePictures], [64, 6]);
  });

  test("have their candidates with scores and grades, and the right one though it is not among the best", async () => {
    const { datasets } = makeRun(folder, [{ name: "GQA", queries: [{ rank: 23 }] }]);
    const { sides, queries: shown } = JSON.parse(
      (await readQueries(folder, datasets[0]!, 1e6)).json,
    ) as EmbeddedDataset;
    const [query] = shown;
    assert.equal(query!.rank, 23);
    assert.deepEqual(
      query!.top.slice(0, 2).map(([side, ...rest]) => [sides[side]!.text, ...rest]),
      [
        ["wrong 1", 1, 0.85, 0],
        ["wrong 2", 2, 0.8, 0],
      ],
    );
    const [side, ...rest] = query!.right;
    assert.deepEqual([sides[side]!.text, ...rest], ["answer 0", 0, -0.25, 1]);
  });
});

describe("records that are not the run's", () => {
  const one: MadeDataset[] = [{ name: "GQA", queries: queries(2, 1) }];

  test("a line that is no JSON, or no record, is named with its file", async () => {
    const results = makeRun(folder, one);
    const file = join(folder, "queries", "GQA.jsonl");
    appendFileSync(file, "{");
    await refused(results, /GQA\.jsonl, line 3: not JSON/);
    writeFileSync(file, `${JSON.stringify({ place: "p", query: { text: 1, images: [] } })}\n`);
    await refused(results, /GQA\.jsonl, line 1: [^]*rationale/);
  });

  test("a file that is missing, or has other queries than the results are about, is named", async () => {
    const results = makeRun(folder, one);
    const file = join(folder, "queries", "GQA.jsonl");
    makeRun(folder, [{ name: "GQA", queries: queries(3, 1) }]);
    await refused(results, /GQA\.jsonl: not the 2 queries, 1 of them right/);
    makeRun(folder, [{ name: "GQA", queries: queries(2, 2) }]);
    await refused(results, /GQA\.jsonl: not the 2 queries, 1 of them right/);
    rmSync(file);
    await refused(results, /GQA\.jsonl is not there/);
  });
});
