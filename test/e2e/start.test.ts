/** `npm start` as a user meets it: from nothing to a page that searches. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { fixture } from "../support/fixtures.ts";
import { CHECKPOINT, runCli, startCli, temporaryFolder } from "../support/run-cli.ts";
import { ask, type Reply } from "../support/server.ts";

const root = temporaryFolder();
const env = { RGE_STORE: join(root, "store"), RGE_CACHE: join(root, "cache") };
/** What the issue allows, and much more than it takes. */
const READY_MS = 90_000;

/** Starts, waits until what is to be indexed is, and gives the address of the server. */
async function started(args: readonly string[]) {
  const startMs = performance.now();
  const child = startCli(["start", "--no-open", "--port", "0", ...args], env);
  let told = "";
  child.stderr.setEncoding("utf8").on("data", (part: string) => (told += part));
  const until = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const found = pattern.exec(told);
      if (found !== null) return found[1]!;
      assert.ok(child.exitCode === null && performance.now() - startMs < READY_MS, told);
      await wait(20);
    }
  };
  const url = await until(/(http:\S+:\d+)\//);
  const readyMs = performance.now() - startMs;
  const sentence = await until(/rge: [\w-]+: (.*)\n/);
  const stop = async (): Promise<void> => {
    child.kill("SIGINT");
    await once(child, "close");
    assert.equal(child.exitCode, 130);
  };
  return { url, readyMs, sentence, until, stop };
}

test("without a folder it is the gallery, which answers the questions that the page offers", async (t) => {
  const first = await started([]);
  assert.ok(first.readyMs < READY_MS);
  assert.match(first.sentence, /^\d+ embedded$/);
  const { body } = await ask(`${first.url}/v1/collections/gallery`);
  assert.ok(body.count > 500 && body.examples.length >= 6);
  assert.match((await (await fetch(first.url)).text()).slice(0, 100), /^<!doctype html>/);
  const { examples } = body as { examples: { text: string; picture: string | null }[] };
  const times: number[] = [];
  let written = 0;
  for (const { text, picture } of examples) {
    const bytes = picture === null ? undefined : await (await fetch(first.url + picture)).arrayBuffer();
    const image = bytes && `data:image/png;base64,${Buffer.from(bytes).toString("base64")}`;
    const startMs = performance.now();
    const { body: answer }: { body: Reply } = await ask(`${first.url}/v1/collections/gallery/search`, {
      text,
      image,
      mode: "reason",
    });
    times.push(performance.now() - startMs);
    assert.equal(answer.reasoned, true);
    if (/^\w.*\.$/.test(answer.rationale as string)) written++;
  }
  times.sort((a, b) => a - b);
  t.diagnostic(
    `ready after ${(first.readyMs / 1000).toFixed(1)} s; reasoned searches ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`,
  );
  assert.equal(written, examples.length);
  assert.ok(Number(await first.until(/gallery is calibrated with (\d+) questions/)) > 100);
  const { body: asked } = await ask(`${first.url}/v1/collections/gallery/search`, { text: examples[0]!.text });
  assert.ok(asked.hits[0].chance > asked.hits[5].chance);
  await first.stop();

  const again = await started([]);
  assert.match(again.sentence, /^\d+ unchanged$/);
  await again.stop();
});

test("with a folder and a model it is that folder's collection", async () => {
  const photos = join(root, "my photos");
  mkdirSync(photos);
  cpSync(fixture("images/example.jpg"), join(photos, "pets.jpg"));
  const { url, sentence, stop } = await started([photos, "--model", CHECKPOINT, "--weights", "fp32"]);
  assert.equal(sentence, "1 embedded");
  const { body } = await ask(`${url}/v1/collections/my-photos/search`, { text: "pets", mode: "direct" });
  assert.equal(body.hits[0].item.id, "pets.jpg");
  await stop();
});

test("a folder of one's own wants a model, as nano knows drawn scenes only", async () => {
  const { status, stderr } = await runCli(["start", root, "--collection", "other"], { env });
  assert.equal(status, 2);
  assert.match(stderr, /--model is missing.*nano/);
});
