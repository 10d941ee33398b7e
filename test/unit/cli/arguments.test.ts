import assert from "node:assert/strict";
import { test } from "node:test";
import { Arguments, type OptionSpec } from "../../../src/cli/arguments.ts";
import { UsageError } from "../../../src/errors.ts";

const OPTIONS: readonly OptionSpec[] = [
  { name: "text", value: "T", help: "" },
  { name: "image", value: "FILE", multiple: true, help: "" },
  { name: "top-p", value: "P", help: "" },
  { name: "reason", negatable: true, help: "" },
  { name: "json", help: "" },
];

const parse = (...argv: string[]): Arguments => Arguments.parse(argv, OPTIONS);
const refuses = (message: RegExp, act: () => unknown): void => {
  assert.throws(act, (error) => error instanceof UsageError && message.test(error.message));
};

test("values, repeated values, switches and words are read, verbatim", () => {
  const args = parse("word", "--text", "a\\n b", "--image=x.png", "--image", "y.png", "--json", "--", "--text");
  assert.equal(args.text("text"), "a\\n b");
  assert.deepEqual(args.texts("image"), ["x.png", "y.png"]);
  assert.deepEqual(args.positionals, ["word", "--text"]);
  assert.equal(args.has("json"), true);
  assert.deepEqual(args.given(["json", "text", "top-p"]), ["json", "text"]);
});

test("a switch that can be denied is on, off or not mentioned", () => {
  assert.equal(parse("--reason").toggle("reason"), true);
  assert.equal(parse("--no-reason").toggle("reason"), false);
  assert.equal(parse().toggle("reason"), undefined);
  refuses(/both asked for and denied/, () => parse("--reason", "--no-reason"));
  refuses(/no option --no-json/, () => parse("--no-json"));
});

test("an unknown option is answered with the nearest known one", () => {
  refuses(/no option --imag;.*--image/, () => parse("--imag", "x"));
  refuses(/no option --no-raeson;.*--no-reason/, () => parse("--no-raeson"));
  refuses(/no option -t/, () => parse("-t"));
});

test("a value that is missing, swallowed, given twice or not wanted is refused", () => {
  refuses(/--text wants a value \(T\)$/, () => parse("--text"));
  refuses(/--text wants a value .* --text=--image/, () => parse("--text", "--image", "x"));
  refuses(/--text is given twice/, () => parse("--text", "a", "--text", "b"));
  refuses(/--json takes no value/, () => parse("--json=yes"));
  assert.equal(parse("--text=--image").text("text"), "--image");
  assert.equal(parse("--text", "-").text("text"), "-");
  assert.equal(parse("--text", "").text("text"), "");
});

test("numbers are decimal, finite and in range", () => {
  assert.equal(parse("--top-p", "0.9").number("top-p"), 0.9);
  assert.equal(parse("--top-p", "-1").number("top-p"), -1);
  assert.equal(parse("--top-p", "1e2").whole("top-p", 1), 100);
  assert.equal(parse().number("top-p"), undefined);
  for (const wrong of ["", "x", "0x10", "1e999", "1_0", "NaN"])
    refuses(/--top-p is a number, got/, () => parse(`--top-p=${wrong}`).number("top-p"));
  for (const wrong of ["0", "1.5", "-3"])
    refuses(/whole number from 1/, () => parse("--top-p", wrong).whole("top-p", 1));
});

test("one of a few words, and no other", () => {
  assert.equal(parse("--text", "query").choice("text", ["query", "target"]), "query");
  refuses(/--text is one of query, target; got "Query"/, () =>
    parse("--text", "Query").choice("text", ["query", "target"]),
  );
});
