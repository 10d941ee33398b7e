import assert from "node:assert/strict";
import { test } from "node:test";
import { StatusError, statusOf } from "../../../src/cli/exit-status.ts";
import { Messages, printable, type MessageOptions } from "../../../src/cli/messages.ts";
import { CheckpointError, HubError, InputError, RuntimeError, UsageError } from "../../../src/errors.ts";

function said(options: Partial<MessageOptions>, act: (messages: Messages) => void): string {
  let written = "";
  const screen = { write: (text: string) => (written += text) };
  act(new Messages(screen, { json: false, quiet: false, debug: false, ...options }));
  return written;
}

test("each class of error has its exit status", () => {
  assert.equal(statusOf(new UsageError("x")), 2);
  assert.equal(statusOf(new CheckpointError("x")), 3);
  assert.equal(statusOf(new HubError("x")), 3);
  assert.equal(statusOf(new RuntimeError("x")), 4);
  assert.equal(statusOf(new TypeError("x")), 4);
  assert.equal(statusOf(new StatusError(3, new RuntimeError("x"))), 3);
  assert.equal(statusOf(Object.assign(new Error("x"), { code: "EPIPE" })), 141);
});

test("an error is a sentence for people, its stack and cause only when debugging", () => {
  const error = new InputError("line 3: no", { cause: new Error("why") });
  assert.equal(
    said({}, (messages) => messages.error(error)),
    "rge: line 3: no\n",
  );
  const debug = said({ debug: true }, (messages) => messages.error(error));
  assert.match(debug, /^rge: InputError: line 3: no\n {4}at [^]*caused by: Error: why\n {4}at /);
});

test("an error is one JSON object for programs, named by its own class", () => {
  const error = new StatusError(1, new HubError("gone", { status: 404 }));
  assert.deepEqual(JSON.parse(said({ json: true }, (messages) => messages.error(error))), {
    error: { name: "HubError", message: "gone", exitStatus: 1, httpStatus: 404 },
  });
});

const remark = (messages: Messages): void => messages.notice("using the cache");

test("remarks are silent when quiet, and JSON for programs", () => {
  assert.equal(said({}, remark), "rge: using the cache\n");
  assert.equal(said({ quiet: true }, remark), "");
  assert.deepEqual(JSON.parse(said({ json: true }, remark)), { notice: "using the cache" });
  assert.notEqual(
    said({ quiet: true }, (messages) => messages.error(new Error("x"))),
    "",
  );
});

test("control characters do not reach the terminal, line breaks and tabs do", () => {
  assert.equal(printable("a\u001b[31mb\u0007\r\n\tc\u202e\u0085"), "a\ufffd[31mb\ufffd\ufffd\n\tc\ufffd\ufffd");
});
