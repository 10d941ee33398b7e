import assert from "node:assert/strict";
import { test } from "node:test";
import { completionsUrl, engineKey } from "../../../src/curate/endpoint.ts";
import { readRetryAfter, retryDelayMs } from "../../../src/curate/retry.ts";
import { UsageError } from "../../../src/errors.ts";
import { seededRandom } from "../../../src/random.ts";

test("an engine is given with or without its version and the path of its completions", () => {
  for (const [engine, url] of [
    ["http://h:8000", "http://h:8000/v1/chat/completions"],
    ["http://h:8000/", "http://h:8000/v1/chat/completions"],
    ["http://h:8000/v1", "http://h:8000/v1/chat/completions"],
    ["http://h:8000/v1/", "http://h:8000/v1/chat/completions"],
    ["http://h/v1/chat/completions", "http://h/v1/chat/completions"],
    ["https://h/api/v1", "https://h/api/v1/chat/completions"],
    ["https://h/v1beta/openai", "https://h/v1beta/openai/chat/completions"],
    ["https://h/proxy?version=3#x", "https://h/proxy/v1/chat/completions?version=3"],
  ] as const)
    assert.equal(completionsUrl(engine).href, url);
});

test("what is no http address, or has a password in it, is refused without repeating the password", () => {
  for (const engine of ["localhost:8000", "ftp://h/v1", "", "h"])
    assert.throws(() => completionsUrl(engine), UsageError, engine);
  assert.throws(
    () => completionsUrl("http://me:secret@h/v1"),
    (error) => error instanceof UsageError && /RGE_ENGINE_KEY/.test(error.message) && !/secret/.test(error.message),
  );
});

test("the key is RGE_ENGINE_KEY, else OPENAI_API_KEY, and never shown", () => {
  assert.equal(engineKey({ RGE_ENGINE_KEY: " a\n", OPENAI_API_KEY: "b" }), "a");
  assert.equal(engineKey({ RGE_ENGINE_KEY: "", OPENAI_API_KEY: "b" }), "b");
  assert.equal(engineKey({}), undefined);
  assert.throws(
    () => engineKey({ OPENAI_API_KEY: "se cret" }),
    (error) => error instanceof UsageError && /OPENAI_API_KEY/.test(error.message) && !/se cret/.test(error.message),
  );
});

test("waits double up to a limit, differ between rows, and are no shorter than asked for", () => {
  const delays = Array.from({ length: 9 }, (_, i) => retryDelayMs(i + 1, undefined, () => 1));
  assert.deepEqual(delays, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(
    retryDelayMs(1, undefined, () => 0),
    250,
  );
  assert.notEqual(retryDelayMs(3, undefined, seededRandom(1)), retryDelayMs(3, undefined, seededRandom(2)));
  assert.equal(
    retryDelayMs(1, 7000, () => 1),
    7000,
  );
  assert.equal(
    retryDelayMs(1, 10, () => 1),
    500,
  );
  assert.equal(
    retryDelayMs(1, 1e9, () => 1),
    600_000,
  );
});

test("Retry-After is seconds or a date", () => {
  const nowMs = Date.UTC(2026, 0, 1);
  assert.equal(readRetryAfter("2", nowMs), 2000);
  assert.equal(readRetryAfter("0.5", nowMs), 500);
  assert.equal(readRetryAfter("Thu, 01 Jan 2026 00:00:03 GMT", nowMs), 3000);
  assert.equal(readRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", nowMs), 0);
  for (const other of [null, "", "soon"]) assert.equal(readRetryAfter(other, nowMs), undefined);
});
