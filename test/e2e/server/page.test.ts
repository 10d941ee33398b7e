/** The page in a real Chromium, over a server with the tiny checkpoint. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { KeyRing, newKey } from "../../../src/server/keys.ts";
import { MemoryStore } from "../../../src/store/memory.ts";
import { chromiumPath, openBrowser } from "../../support/browser.ts";
import { fixture } from "../../support/fixtures.ts";
import { ask, startServer } from "../../support/server.ts";

const path = chromiumPath();
const skip = path === undefined && "Chromium is not installed: apt-get install chromium, or set RGE_CHROMIUM";
/** Pictures of the page are kept here, to be looked at. */
const shots = process.env["RGE_SCREENSHOTS"];

const root = mkdtempSync(join(tmpdir(), "rge-page-"));
for (const name of ["one", "two", "three"]) cpSync(fixture("images/example.jpg"), join(root, `${name}.jpg`));
writeFileSync(join(root, "broken.jpg"), "no picture");
writeFileSync(join(root, "one.txt"), "A cat and a dog");

const examples = [
  { text: "What is this?", item: "one.jpg" },
  { text: "A cat", item: undefined },
];
const { key, line } = newKey("page");
writeFileSync(join(root, "keys.txt"), line);
const open = await startServer({ store: new MemoryStore(), filesRoot: root, examplesOf: () => examples });
const { embedder } = open;
const empty = await startServer({ embedder });
const locked = await startServer({ embedder, keys: KeyRing.read(join(root, "keys.txt")) });

let browser: Browser;
let page: Page;
let said: string[];

before(async () => {
  if (path !== undefined) browser = await openBrowser(path);
  await ask(`${open.url}/v1/collections`, { name: "pets" });
  await ask(`${open.url}/v1/collections/pets/index`, { path: "." });
  await open.jobs.ended("pets");
});
after(async () => {
  await browser?.close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(async () => {
  if (path === undefined) return;
  page = await browser.newPage({ viewport: { width: 1100, height: 900 } });
  said = [];
  page.on("console", (message) => message.type() === "error" && said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
});
afterEach(async () => {
  await page?.close();
});

async function shoot(name: string): Promise<void> {
  if (shots === undefined) return;
  mkdirSync(shots, { recursive: true });
  await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}

/** Waits until the line under the form says so. */
async function told(pattern: RegExp): Promise<void> {
  await page.locator("#message", { hasText: pattern }).waitFor({ timeout: 20_000 });
}

/** A script that draws a picture and gives it to an element by an event, as files come from a desktop or a clipboard. */
function handPicture(selector: string, kind: "drop" | "paste"): string {
  const event =
    kind === "drop"
      ? "new DragEvent('drop', { dataTransfer: data,"
      : "new ClipboardEvent('paste', { clipboardData: data,";
  return `(async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 60, height: 60 });
    canvas.getContext("2d").fillRect(0, 0, 30, 60);
    const data = new DataTransfer();
    const blob = await new Promise((resolve) => canvas.toBlob(resolve));
    data.items.add(new File([blob], "drawn.png", { type: "image/png" }));
    document.querySelector("${selector}").dispatchEvent(${event} bubbles: true, cancelable: true }));
  })()`;
}

test("a sentence finds items, with the reason above them and the direct result beside", { skip }, async () => {
  await page.goto(open.url);
  await page.locator("#about", { hasText: "3 items" }).waitFor();
  await page.getByLabel("always").check();
  await page.getByLabel("compare with the direct result").check();
  await page.getByLabel("What are you looking for?").fill("A cat");
  await page.keyboard.press("Enter");
  await told(/^3 results after reasoning, \d+ ms$/);
  const same = await ask(`${open.url}/v1/collections/pets/search`, { text: "A cat", mode: "reason" });
  assert.notEqual(same.body.rationale, "");
  assert.equal(await page.locator("#rationale").textContent(), same.body.rationale);
  assert.match((await page.locator("#facts").textContent())!, /^\d+ tokens/);
  assert.deepEqual(await page.locator("#results h2").allTextContents(), ["With reasoning", "Direct"]);
  assert.equal(await page.locator(".card").count(), 6);
  await page.waitForFunction("[...document.querySelectorAll('.card img')].every((it) => it.naturalWidth > 0)");
  await shoot("compare");
  assert.deepEqual(said, []);
});

test("what could not be indexed is listed with its reason", { skip }, async () => {
  await page.goto(open.url);
  await page.getByText("1 could not be indexed").click();
  assert.match((await page.locator("#problems li").textContent())!, /broken\.jpg/);
  assert.match((await page.locator("#progress-text").textContent())!, /3 embedded, 1 failed/);
});

test("a picture is chosen, dropped or pasted, and taken away", { skip }, async () => {
  await page.goto(open.url);
  await page.locator("#file").setInputFiles(fixture("images/example.jpg"));
  await page.locator("#picture").waitFor();
  await page.getByRole("button", { name: "Search" }).click();
  await told(/^3 results/);
  await page.getByRole("button", { name: "Remove the picture" }).click();
  await page.locator("#picture").waitFor({ state: "hidden" });
  for (const [target, name] of [
    ["#drop", "drop"],
    ["body", "paste"],
  ] as const) {
    await page.evaluate(handPicture(target, name));
    await page.locator("#picture").waitFor();
    assert.match((await page.locator("#picture").getAttribute("src"))!, /^data:image\/png/);
    await page.getByRole("button", { name: "Remove the picture" }).click();
  }
  assert.deepEqual(said, []);
});

test(
  "an example asks with its picture; an item opens, shows more like it, and closes with Escape",
  { skip },
  async () => {
    await page.goto(open.url);
    await page.getByRole("button", { name: "What is this?" }).click();
    await told(/^3 results/);
    assert.match((await page.locator("#picture").getAttribute("src"))!, /^data:/);
    await page.locator(".card").first().focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Enter");
    const detail = page.getByRole("dialog");
    await detail.waitFor();
    assert.match((await detail.locator("dd").first().textContent())!, /\.jpg$/);
    await shoot("detail");
    await page.keyboard.press("Escape");
    await detail.waitFor({ state: "hidden" });
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "More like this" }).click();
    await told(/^2 items like /);
    assert.deepEqual(said, []);
  },
);

test("with nothing asked, nothing there, and no server, the page says so", { skip }, async () => {
  await page.goto(open.url);
  await page.getByRole("button", { name: "Search" }).click();
  await told(/^Write a sentence or add a picture first\.$/);
  await page.goto(empty.url);
  await told(/There is no collection yet/);
  assert.ok(await page.locator("#search").isDisabled());
  await page.goto(open.url);
  await page.route("**/search", (route) => route.abort());
  await page.getByLabel("What are you looking for?").fill("a cat");
  await page.keyboard.press("Enter");
  await told(/cannot be reached/);
});

test("a server that wants a key is given one", { skip }, async () => {
  await page.goto(locked.url);
  await page.getByLabel("Key", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByRole("button", { name: "Continue" }).click();
  await told(/There is no collection yet/);
});

test("in the dark it is dark, and on a telephone nothing is wider than the screen", { skip }, async () => {
  await page.emulateMedia({ colorScheme: "dark" });
  await page.setViewportSize({ width: 360, height: 740 });
  await page.goto(open.url);
  await page.getByRole("button", { name: "A cat" }).click();
  await told(/^3 results/);
  const background = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
  const width = await page.evaluate<number>("document.documentElement.scrollWidth");
  const brightness = background.match(/\d+/g)!.slice(0, 3).map(Number);
  assert.ok(Math.max(...brightness) < 80, background);
  assert.ok(width <= 360, `${width}`);
  await shoot("dark");
});
