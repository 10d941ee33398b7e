import assert from "node:assert/strict";
import { test } from "node:test";
import { AbsentError, InputError, StoreError, StoreFailure } from "../../../src/errors.ts";
import { answerOf, HttpError } from "../../../src/server/errors.ts";

test("an error's kind decides the status", () => {
  const cases: readonly (readonly [Error, number, string | null])[] = [
    [new AbsentError("there is no collection a"), 404, "not_found"],
    [new StoreError("no name"), 400, "store"],
    [new StoreFailure("a: disk full"), 500, "store_failed"],
    [new InputError("empty"), 400, "invalid_input"],
    [new HttpError(429, "busy", "later"), 429, "busy"],
    [new Error("bug"), 500, "internal"],
  ];
  for (const [error, status, code] of cases) {
    const answer = answerOf(error);
    assert.deepEqual([answer.status, answer.body.error.code], [status, code], error.message);
  }
});

test("what failed inside the server stays in its log", () => {
  for (const error of [new StoreFailure("photos: /home/ann/private: no space"), new TypeError("/home/ann/private")])
    assert.doesNotMatch(JSON.stringify(answerOf(error).body), /private/);
});
