/** What the package's entries export: a change here is a change for users, and goes into CHANGELOG.md. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as graph from "../../src/graph/index.ts";
import * as rge from "../../src/index.ts";

test("rge exports these values", () => {
  assert.deepEqual(Object.keys(rge).sort(), []);
});

test("rge/graph exports these values", () => {
  assert.deepEqual(Object.keys(graph).sort(), []);
});
