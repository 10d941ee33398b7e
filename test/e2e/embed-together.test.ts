/** Items in a batch of their own: the same bits whatever else is under way. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Embedder, type EmbedItem } from "../../src/index.ts";
import { ImageError, InputError } from "../../src/errors.ts";
import { CHECKPOINT } from "../support/run-cli.ts";
import { fileURLToPath } from "node:url";

const PHOTO = fileURLToPath(new URL("../fixtures/images/tiny-20x23.png", import.meta.url));
const reason = { maxNewTokens: 12 };
const items: EmbedItem[] = [
  { text: "What is it?\n", reason },
  { text: "A longer question about the picture, which is small.\n", images: [PHOTO], minSide: 28, reason },
  { role: "target", text: "a dog\n" },
  { text: "And now?\n", reason: false },
];

describe("embedTogether", () => {
  let embedder: Embedder;
  before(async () => {
    embedder = await Embedder.load(CHECKPOINT, { weights: "fp32", batch: 4, threads: 1 });
  });
  after(async () => {
    await embedder[Symbol.asyncDispose]();
  });

  test("gives the same bits again, alone and beside others", async () => {
    const alone = await embedder.embedTogether(items);
    const others = embedder.embed(
      Array.from({ length: 30 }, (_, i) => ({ text: `${"x ".repeat(i)}\n`, reason: { maxNewTokens: 1 + i } })),
    );
    const twice = await Promise.all([embedder.embedTogether(items), embedder.embedTogether(items)]);
    await others;
    for (const results of twice)
      assert.deepEqual(
        results.map(({ embedding, rationaleIds }) => ({ embedding, rationaleIds })),
        alone.map(({ embedding, rationaleIds }) => ({ embedding, rationaleIds })),
      );
  });

  test("names the item that cannot be embedded, and works on", async () => {
    const bad: EmbedItem[] = [items[0]!, { text: "x", images: ["/nowhere.png"] }, items[2]!];
    await assert.rejects(
      embedder.embedTogether(bad),
      (error: Error) => error instanceof ImageError && error.message.startsWith("item 1: /nowhere.png"),
    );
    await assert.rejects(
      embedder.embedTogether([items[0]!, { text: "" }], { nameOf: (index) => `row ${index + 1}` }),
      /^InputError: row 2: the item is empty/,
    );
    assert.equal((await embedder.embedTogether(items)).length, items.length);
  });

  test("takes no more than a batch, and stops when it is told to", async () => {
    await assert.rejects(embedder.embedTogether([...items, items[0]!]), InputError);
    const stop = new AbortController();
    const long = embedder.embedTogether([{ text: "go on\n", reason: { maxNewTokens: 400 } }], { signal: stop.signal });
    setTimeout(() => stop.abort(new Error("enough")), 50);
    await assert.rejects(long, /enough/);
    await assert.rejects(embedder.embedTogether(items, { signal: stop.signal }), /enough/);
  });

  test("stretches sides that are shorter than minSide, within reason", async () => {
    const [raised, asItIs] = await embedder.embedTogether([
      { role: "target", images: [PHOTO], minSide: 280 },
      { role: "target", images: [PHOTO] },
    ]);
    assert.ok(raised!.promptTokens > asItIs!.promptTokens + 50);
    await assert.rejects(embedder.embed([{ images: [PHOTO], minSide: 5000 }]), /minSide is at most 1024/);
  });
});
