/** The two terms against their formulas in double precision, and their gradients against central differences. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Graph, gradients, matMul, mul, serialize, swapLast, type Tensor } from "../../../src/graph/index.ts";
import { floats, indices, type Feeds } from "../../../src/host-tensor.ts";
import { seededRandom } from "../../../src/random.ts";
import { Session } from "../../../src/runtime/session.ts";
import { candidateFeeds } from "../../../src/train/collate.ts";
import { crossEntropySum, infoNceSum, type ContrastiveOptions } from "../../../src/train/losses.ts";
import { assertClose } from "../../support/assert-close.ts";
import { differences } from "../graph/differences.ts";

const HIDDEN = 5;
const VALUE = { rtol: 2e-5, atol: 2e-5 };
const SLOPE = { rtol: 2e-3, atol: 2e-3 };

function numbers(count: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => 2 * random() - 1);
}

function unit(flat: Float32Array, row: number): number[] {
  const part = [...flat.subarray(row * HIDDEN, (row + 1) * HIDDEN)];
  const norm = Math.hypot(...part);
  return part.map((value) => value / norm);
}

/** InfoNCE by its definition, candidate by candidate. */
function expected(
  queries: Float32Array,
  targets: Float32Array,
  keys: readonly string[],
  options: ContrastiveOptions,
): number {
  const { temperature, hardness, falseNegativeMargin } = options;
  let sum = 0;
  for (let i = 0; i < queries.length / HIDDEN; i++) {
    const cosines = keys.map((_, j) =>
      unit(targets, j).reduce((dot, value, k) => dot + value * unit(queries, i)[k]!, 0),
    );
    let all = 0;
    for (const [j, cosine] of cosines.entries()) {
      if (j !== i && keys[j] === keys[i]) continue;
      if (j !== i && falseNegativeMargin !== undefined && cosine > cosines[i]! + falseNegativeMargin) continue;
      all += Math.exp(cosine / temperature + (j === i ? 0 : hardness * cosine));
    }
    sum += Math.log(all) - cosines[i]! / temperature;
  }
  return sum;
}

const CASES: readonly [string, Partial<ContrastiveOptions>][] = [
  ["plain", {}],
  ["with LLaVE's weights", { hardness: 9 }],
  ["without false negatives", { falseNegativeMargin: 0.1 }],
  ["with both", { hardness: 4, falseNegativeMargin: -0.1 }],
];
// Query 0's target stands again as a candidate of query 2, and the last two are hard negatives, one of them query 1's target.
const KEYS = ["a", "b", "a", "c", "d", "b"];

for (const [title, changes] of CASES)
  test(`InfoNCE has the value and the gradient of its definition, ${title}`, async () => {
    const options: ContrastiveOptions = { temperature: 0.3, hardness: 0, falseNegativeMargin: undefined, ...changes };
    const graph = new Graph("infonce");
    const queries = graph.input("queries", "float32", ["queries", HIDDEN]);
    const targets = graph.input("targets", "float32", ["targets", HIDDEN]);
    const { sum } = infoNceSum(graph, queries, targets, options);
    graph.output("sum", sum);
    gradients(sum, [queries, targets]).forEach((gradient, i) => graph.output(`gradient.${i}`, gradient));
    const [q, t] = [numbers(4 * HIDDEN, 1), numbers(KEYS.length * HIDDEN, 2)];
    const feeds: Feeds = {
      queries: floats(q, [4, HIDDEN]),
      targets: floats(t, [KEYS.length, HIDDEN]),
      ...candidateFeeds(4, KEYS),
    };
    await using session = await Session.open(serialize(graph), "infonce", { threads: 1 });
    const outputs = await session.run(feeds, ["sum", "gradient.0", "gradient.1"]);
    assertClose(outputs.sum.data as Float32Array, [expected(q, t, KEYS, options)], VALUE, "sum");
    // Weights and choices of candidates are constants to the gradient: the reference must hold them fixed as well.
    if (options.hardness !== 0) return;
    for (const [i, data] of [q, t].entries()) {
      const slopes = await differences(data, 1e-3, async () => expected(q, t, KEYS, options));
      assertClose(outputs[i === 0 ? "gradient.0" : "gradient.1"].data as Float32Array, slopes, SLOPE, `gradient.${i}`);
    }
  });

test("LLaVE's weights are constants to the gradient", async () => {
  // With weights w_ij fixed, d/dq of the weighted sum: checked against a graph whose weights are fed as numbers.
  const [q, t] = [numbers(3 * HIDDEN, 5), numbers(3 * HIDDEN, 6)];
  const keys = ["a", "b", "c"];
  const run = async (hardness: number, extra: Float32Array): Promise<Float32Array> => {
    const graph = new Graph("fixed");
    const queries = graph.input("queries", "float32", ["queries", HIDDEN]);
    const targets = graph.input("targets", "float32", ["targets", HIDDEN]);
    const { sum } = infoNceSum(graph, queries, targets, { temperature: 0.5, hardness, falseNegativeMargin: undefined });
    graph.output("dq", gradients(sum, [queries])[0]!);
    await using session = await Session.open(serialize(graph), "fixed", { threads: 1 });
    const feeds = {
      queries: floats(q, [3, HIDDEN]),
      targets: floats(t, [3, HIDDEN]),
      ...candidateFeeds(3, keys),
      excluded: floats(extra, [3, 3]),
    };
    return (await session.run(feeds, ["dq"])).dq.data as Float32Array;
  };
  const weights = new Float32Array(9);
  const norm = (flat: Float32Array, row: number): number =>
    Math.hypot(...flat.subarray(row * HIDDEN, (row + 1) * HIDDEN));
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 3; j++) {
      let dot = 0;
      for (let k = 0; k < HIDDEN; k++) dot += q[i * HIDDEN + k]! * t[j * HIDDEN + k]!;
      if (i !== j) weights[i * 3 + j] = (7 * dot) / norm(q, i) / norm(t, j);
    }
  assertClose(await run(7, new Float32Array(9)), await run(0, weights), { rtol: 1e-4, atol: 1e-5 }, "dq");
});

test("cross-entropy has the value and the gradient of its definition, for logits that would overflow too", async () => {
  for (const scale of [1, 60]) {
    const [vocab, count] = [7, 4];
    const labels = [3, 0, 6, 3];
    const [states, table] = [numbers(count * HIDDEN, 3), numbers(vocab * HIDDEN, 4)];
    const graph = new Graph("lm");
    const x = graph.input("states", "float32", ["labels", HIDDEN]);
    const w = graph.input("table", "float32", [vocab, HIDDEN]);
    const scaled: Tensor = mul(x, graph.constant("float32", [scale], []));
    const sum = crossEntropySum(scaled, matMul(scaled, swapLast(w)), w, graph.input("ids", "int64", ["labels"]));
    graph.output("sum", sum);
    gradients(sum, [x, w]).forEach((gradient, i) => graph.output(`gradient.${i}`, gradient));
    const feeds = {
      states: floats(states, [count, HIDDEN]),
      table: floats(table, [vocab, HIDDEN]),
      ids: indices(labels),
    };
    const definition = (): number => {
      let total = 0;
      for (const [row, label] of labels.entries()) {
        const logits = Array.from({ length: vocab }, (_, id) => {
          let dot = 0;
          for (let k = 0; k < HIDDEN; k++) dot += scale * states[row * HIDDEN + k]! * table[id * HIDDEN + k]!;
          return dot;
        });
        const most = Math.max(...logits);
        total += most + Math.log(logits.reduce((all, logit) => all + Math.exp(logit - most), 0)) - logits[label]!;
      }
      return total;
    };
    await using session = await Session.open(serialize(graph), "lm", { threads: 1 });
    const outputs = await session.run(feeds, ["sum", "gradient.0", "gradient.1"]);
    assertClose(outputs.sum.data as Float32Array, [definition()], VALUE, "sum");
    for (const [name, data] of [
      ["gradient.0", states],
      ["gradient.1", table],
    ] as const) {
      const slopes = await differences(data, 1e-3 / scale, async () => definition());
      assertClose(outputs[name].data as Float32Array, slopes, { rtol: SLOPE.rtol, atol: SLOPE.atol * scale }, name);
    }
    assert.ok((outputs["gradient.0"].data as Float32Array).some((value) => Math.abs(value) > 0.01));
  }
});
