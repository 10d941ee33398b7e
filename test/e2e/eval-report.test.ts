/** The report of an evaluation in a real Chromium, opened as a file. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { Browser, Page } from "playwright-core";
import { evalReport } from "../../src/eval/report.ts";
import { chromiumPath, openBrowser } from "../support/browser.ts";
import { fixture } from "../support/fixtures.ts";
import { makeRun, meanOf, type MadeQuery } from "../unit/eval/report-run.ts";

const path = chromiumPath();
const skip = path === undefined && "Chromium is not installed: apt-get install chromium, or set RGE_CHROMIUM";
/** Pictures of the page are kept here, to be looked at. */
const shots = process.env["RGE_SCREENSHOTS"];

const root = mkdtempSync(join(tmpdir(), "rge-eval-page-"));
const run = join(root, "run");
const picture = join(root, "a picture, 100%.jpg");
const missing = join(root, "gone.jpg");
const HOSTILE = `<img src=x onerror="document.title='hacked'"></script><script>document.title='hacked'</script>`;

let browser: Browser;
let page: Page;
let said: string[];

before(async () => {
  if (path === undefined) return;
  cpSync(fixture("images/example.jpg"), picture);
  const made = Array.from({ length: 50 }, (_, i): MadeQuery => ({
    text: `<|image_pad|>What is number ${i}?`,
    images: [picture],
    rank: i % 5 === 0 ? 4 : 1,
    rationaleTokens: 5 + i,
  }));
  made[20] = {
    text: `Where is the zebra? ${HOSTILE}`,
    images: [picture, missing],
    rank: 12,
    rationale: HOSTILE,
    rationaleTokens: 128,
    finish: "budget",
    rightText: "On the savanna",
  };
  const results = makeRun(
    run,
    [
      { name: "GQA", metaTask: "vqa", ood: true, queries: made, interval: { low: 0.7, high: 0.9 } },
      { name: "ChartQA", metaTask: "vqa", queries: made.slice(0, 20).map((query) => ({ ...query, rank: 2 })) },
      { name: "DocVQA", metaTask: "vqa", queries: made.slice(0, 10).map((query) => ({ ...query, rank: 1 })) },
    ],
    { means: { overall: meanOf(0.6, 3), metaTasks: { vqa: meanOf(0.6, 3) } } },
  );
  writeFileSync(join(run, "report.html"), await evalReport(run, results));
  browser = await openBrowser(path);
});
after(async () => {
  await browser?.close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(async () => {
  if (path === undefined) return;
  said = [];
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.on("console", (message) => message.type() === "error" && said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  await page.goto(pathToFileURL(join(run, "report.html")).href);
});
afterEach(async () => {
  await page?.close();
});

async function shoot(name: string): Promise<void> {
  if (shots === undefined) return;
  mkdirSync(shots, { recursive: true });
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.screenshot({ path: join(shots, `${name}-${scheme}.png`), fullPage: true });
  }
}

async function datasetNames(): Promise<string[]> {
  return await page.locator("table.sortable tbody th").allTextContents();
}

test("a column's head sorts the datasets, most first, then the other way", { skip }, async () => {
  assert.deepEqual(await datasetNames(), ["GQA", "ChartQA", "DocVQA"]);
  const head = page.getByRole("columnheader", { name: "main metric" });
  await head.getByRole("button").click();
  assert.deepEqual(await datasetNames(), ["DocVQA", "GQA", "ChartQA"]);
  assert.equal(await head.getAttribute("aria-sort"), "descending");
  await page.keyboard.press("Enter");
  assert.deepEqual(await datasetNames(), ["ChartQA", "GQA", "DocVQA"]);
  await page.getByRole("button", { name: "dataset", exact: true }).click();
  assert.deepEqual(await datasetNames(), ["ChartQA", "DocVQA", "GQA"]);
  assert.equal(await head.getAttribute("aria-sort"), null);
  assert.deepEqual(said, []);
});

test("wrong queries are filtered, one of them is found by its words and shows all there is", { skip }, async () => {
  await page.getByLabel("wrong").check();
  assert.equal(await page.locator("#count").textContent(), "10 of 50 embedded queries");
  await page.getByLabel("Search texts").fill("SAVANNA");
  assert.equal(await page.locator("#count").textContent(), "1 of 50 embedded queries");
  const entry = page.locator(".query");
  assert.match((await entry.locator("summary").textContent())!, /✗ rank 12.*overrun.*Where is the zebra\?/);
  await entry.locator("summary").focus();
  await page.keyboard.press("Enter");
  assert.equal(await entry.locator(".rationale").textContent(), HOSTILE);
  assert.match((await entry.textContent())!, /Rationale \(128 tokens, ended by the budget\)/);
  await page.waitForFunction("document.querySelector('.query img').naturalWidth > 0");
  assert.equal(await entry.locator("img").getAttribute("alt"), "query, picture 1");
  await entry.locator(".missing", { hasText: `no picture at ${missing}` }).waitFor();
  const candidates = entry.locator(".candidates li");
  assert.equal(await candidates.count(), 11);
  assert.match((await candidates.first().textContent())!, /^1\. 0\.8500candidate 1wrong 1$/);
  assert.match((await candidates.last().textContent())!, /^12\. 0\.3000rightcandidate 0On the savanna$/);
  assert.equal(await page.title(), "MMEB: /models/nano");
  // The missing picture alone.
  assert.deepEqual(said, ["Failed to load resource: net::ERR_FILE_NOT_FOUND"]);
  await shoot("found");
});

test("another dataset, all of them, and those that overran are shown on demand", { skip }, async () => {
  await page.locator("select").selectOption("ChartQA (20 of 20)");
  assert.equal(await page.locator("#count").textContent(), "20 of 20 embedded queries");
  assert.ok(await page.locator("#more").isHidden());
  await page.locator("select").selectOption("all datasets");
  assert.equal(await page.locator("#count").textContent(), "80 of 80 embedded queries");
  assert.equal(await page.locator(".query").count(), 20);
  await page.getByRole("button", { name: "Show 20 more" }).click();
  assert.equal(await page.locator(".query").count(), 40);
  // Who goes on by the keyboard is at the first of the new ones.
  assert.ok(await page.evaluate("document.activeElement === document.querySelectorAll('.query > summary')[20]"));
  await page.getByLabel("overrun").check();
  assert.equal(await page.locator("#count").textContent(), "1 of 80 embedded queries");
  await page.getByLabel("Search texts").fill("nothing like it");
  assert.equal(await page.locator("#count").textContent(), "0 of 80 embedded queries");
  assert.deepEqual(said, []);
});

test("on a phone the page is as wide as the screen, with queries open and shut", { skip }, async () => {
  await page.setViewportSize({ width: 390, height: 800 });
  await page.getByLabel("Search texts").fill("zebra");
  await page.locator(".query > summary").click();
  await page.locator(".query .candidates").first().waitFor();
  assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 390);
  await shoot("phone");
});
