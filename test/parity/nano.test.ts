/** The model that the package ships, beside transformers (scripts/make_nano_fixture.py). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Embedder } from "../../src/embed/embedder.ts";
import { assertClose } from "../support/assert-close.ts";
import { readSafetensors } from "../support/read-safetensors.ts";

const FIXTURE = join(import.meta.dirname, "../fixtures/nano");

interface Case {
  readonly name: string;
  readonly role: "query" | "target";
  readonly text: string;
  readonly image: string | null;
  readonly rationale: string;
  readonly rationale_ids: readonly number[];
  readonly prompt_tokens: number;
}

test("nano's rationales are transformers', token by token, and hidden states at <emb> agree to 1e-4", async () => {
  const { cases } = JSON.parse(readFileSync(join(FIXTURE, "cases.json"), "utf8")) as { cases: Case[] };
  const expected = readSafetensors(join(FIXTURE, "cases.safetensors"));
  await using embedder = await Embedder.load("nano", { weights: "fp32" });
  const results = await embedder.embed(
    cases.map(({ role, text, image }) => ({
      role,
      text,
      images: image === null ? [] : [join(FIXTURE, image)],
      ...(role === "query" && { reason: { maxNewTokens: 64 } }),
    })),
  );
  cases.forEach(({ name, role, rationale, rationale_ids, prompt_tokens }, i) => {
    const result = results[i]!;
    const isQuery = role === "query";
    // Ours count the <emb> that ended the rationale.
    assert.deepEqual(result.rationaleIds.slice(0, isQuery ? -1 : undefined), rationale_ids, name);
    assert.equal(result.rationale.trim(), rationale.trim(), name);
    assert.equal(result.finish, isQuery ? "emb" : "direct", name);
    assert.equal(result.promptTokens, prompt_tokens, name);
    const [embedding, hidden] = ["embedding", "hidden"].map(
      (it) => expected.get(`${name}/${it}`)!.data as Float32Array,
    );
    assertClose(result.embedding, embedding!, { rtol: 0, atol: 1e-5 }, name);
    // The state before it was brought to length 1.
    const length = Math.hypot(...hidden!);
    assertClose(
      result.embedding.map((entry) => entry * length),
      hidden!,
      { rtol: 0, atol: 1e-4 },
      `${name}, hidden state`,
    );
  });
});
