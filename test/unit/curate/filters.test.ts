import assert from "node:assert/strict";
import { test } from "node:test";
import {
  copiesAnswer,
  isCutOff,
  isEmpty,
  isTooLong,
  mentionsTarget,
  rejectionOf,
} from "../../../src/curate/filters.ts";
import type { TrainRow } from "../../../src/dataset/train-row.ts";

function row(query: string, target: string, image?: string): TrainRow {
  return {
    place: "t.jsonl, row 1",
    query: { text: query, image: undefined },
    target: { text: target, image },
    negatives: [],
    rationale: undefined,
  };
}

test("empty is what has no word", () => {
  for (const text of ["", " \n", "...", "—"]) assert.equal(isEmpty(text), true, text);
  for (const text of ["a", "7", "猫"]) assert.equal(isEmpty(text), false, text);
});

test("cut off is what ended for its length", () => {
  assert.equal(isCutOff({ text: "a", finishReason: "length" }), true);
  for (const finishReason of ["stop", undefined]) assert.equal(isCutOff({ text: "a", finishReason }), false);
});

test("words are counted without punctuation, and in scripts without spaces too", () => {
  assert.equal(isTooLong("One, two - three.", 3), false);
  assert.equal(isTooLong("One, two - three.", 2), true);
  assert.equal(isTooLong("don't", 1), false);
  assert.equal(isTooLong("这张图片里有一只猫", 3), true);
});

test("the target, or an answer as given, is mentioned", () => {
  for (const text of [
    "The target shows a cat.",
    "So the correct target is a cat.",
    "This resembles the target image.",
    "Target caption: a cat.",
    "The given answer is cat.",
    "The answer that is given is cat.",
    "The answer provided says cat.",
    "It fits the ground truth.",
    "As the answer suggests, a cat.",
    "The expected answer would be a cat.",
  ])
    assert.equal(mentionsTarget(text), true, text);
  for (const text of [
    "The given image shows a cat, so look for an answer naming it.",
    "The sign of the Target store is red.",
    "An archer aims at a round target.",
    "The answer to the question is what the sign says.",
    "Answering needs the number of cats.",
  ])
    assert.equal(mentionsTarget(text), false, text);
});

const copies = (text: string, target: string): boolean => copiesAnswer(text, row("What animal is it?", target));

test("a short answer may stand in the final clause only", () => {
  assert.equal(copies("A tabby cat sits there. Look for a small feline pet: a cat.", "a cat"), true);
  assert.equal(copies("An animal with whiskers sits there. Look for: a cat.", "a cat"), false);
  assert.equal(copies("It has whiskers; look for a cat.", "Cat."), false);
  assert.equal(copies("It is a Cat; look for a pet.", "cat"), true);
  assert.equal(copies("It is a cat, so look for a pet", "cat"), true);
  assert.equal(copies("It has whiskers, so look for a cat", "cat"), false);
  assert.equal(copies("The category is clear. Look for a pet.", "cat"), false);
  assert.equal(copies("In Paris, France, a tower stands. Look for a capital.", "Paris, France"), true);
  assert.equal(copies("Version 2.5 is shown, so look for a number", "2.5"), true);
  assert.equal(copies("这是猫。寻找宠物。", "猫"), true);
  assert.equal(copies("有胡须。寻找猫。", "猫"), false);
});

test("RGE's opening of targets is no part of the answer", () => {
  const target = "Summarize the following answer in one word: two dogs";
  assert.equal(copiesAnswer("Two dogs run. Look for a number with an animal.", row("How many?", target)), true);
});

test("answers that are long, pictures, named by the query, or words of grammar may be copied", () => {
  const text = "A red car stands by a house with no roof. Look for a vehicle.";
  assert.equal(copiesAnswer(text, row("What?", "a red car stands by a house")), false);
  assert.equal(copiesAnswer(text, row("What?", "red car", "/a.jpg")), false);
  assert.equal(copiesAnswer(text, row("Is the car red or blue?", "red")), false);
  assert.equal(copiesAnswer(text, row("Is there a roof?", "no")), false);
  assert.equal(copiesAnswer(text, row("What?", "red")), true);
});

const check = (text: string, finishReason = "stop"): string | undefined =>
  rejectionOf({ text, finishReason }, row("What is it?", "cat"), 8);

test("the first rule that is broken is told", () => {
  assert.equal(check("", "length"), "empty");
  assert.equal(check("The target is a cat and what follows", "length"), "cut-off");
  assert.equal(check("The target is one of nine words or more"), "too-long");
  assert.equal(check("A cat. Like the target."), "mentions-target");
  assert.equal(check("A cat. Look for it."), "copies-answer");
  assert.equal(check("Whiskers. Look for a cat."), undefined);
});
