import assert from "node:assert/strict";
import { test } from "node:test";
import { saysTheSame } from "../../../src/scenes/content.ts";

test("wordings may differ, things, places, numbers and their order may not", () => {
  const oracle = "Start at red circle, top left. Right: blue star, top. Look for blue star.";
  assert.ok(saysTheSame("From red circle, top left. Right: blue star, top. So it is blue star.", oracle));
  assert.ok(!saysTheSame("From red circle, top left. Right: blue moon, top. So it is blue star.", oracle));
  assert.ok(!saysTheSame("From red circle, top. Right: blue star, top. So it is blue star.", oracle));
  assert.ok(!saysTheSame("From red circle, top left. Right: blue star, top.", oracle));
  assert.ok(!saysTheSame("", oracle));
});

test("symbols and counts are content", () => {
  assert.ok(!saysTheSame("It bears letter K.", "It bears letter H."));
  assert.ok(!saysTheSame("There is one red star. Look for one.", "There is one red star. Look for two."));
  assert.ok(saysTheSame("There is none. So it is zero.", "There is none. Look for zero."));
});
