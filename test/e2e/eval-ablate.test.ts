/** `rge eval ablate` and `rge eval compare` with nano on a small Scenes. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import type { VariantFigures } from "../../src/eval/ablation.ts";
import type { Comparison } from "../../src/eval/compare.ts";
import type { EvalResults, QueryRecord } from "../../src/eval/types.ts";
import { parseLines, runCli, temporaryFolder } from "../support/run-cli.ts";

const root = temporaryFolder();
const scenes = join(root, "scenes");
const data = ["--data", scenes, "--datasets", "OneHop,TwoHop", "--batch", "8"];

async function evaluated(name: string, ...args: readonly string[]): Promise<EvalResults> {
  const { status, stderr } = await runCli(["eval", "mmeb", ...data, "--out", join(root, name), ...args]);
  assert.equal(status, 0, stderr);
  return JSON.parse(readFileSync(join(root, name, "results.json"), "utf8")) as EvalResults;
}

interface Drift {
  readonly cosine: number;
  readonly same: number;
}

describe("rge eval ablate", () => {
  let variants: ReadonlyMap<string, VariantFigures>;
  let reasoned: EvalResults;
  let direct: EvalResults;
  let html: string;

  before(async () => {
    assert.equal((await runCli(["scenes", "--out", scenes, "--train", "0", "--eval", "24", "--seed", "8"])).status, 0);
    reasoned = await evaluated("reasoned");
    direct = await evaluated("direct", "--max-new-tokens", "0");
    const args = ["--budgets", "0,8,64", "--formats", "int4", "--rationales", join(root, "reasoned")];
    const run = await runCli(["eval", "ablate", ...data, "--out", join(root, "ablation"), ...args, "--json"]);
    assert.equal(run.status, 0, run.stderr);
    const report = JSON.parse(run.stdout) as { variants: VariantFigures[] };
    assert.deepEqual(JSON.parse(readFileSync(join(root, "ablation/ablation.json"), "utf8")), report);
    html = readFileSync(join(root, "ablation/ablation.html"), "utf8");
    variants = new Map(report.variants.map((variant) => [variant.name, variant]));
  });

  test("measures each variant once", () => {
    assert.deepEqual(
      [...variants.keys()],
      [
        "direct",
        "budget 8",
        "budget 64",
        "known rationales",
        "fp32 writes, fp32 reads",
        "int4 writes, fp32 reads",
        "fp32 writes, int4 reads",
        "int4 writes, int4 reads",
      ],
    );
  });

  test("draws the curve over budgets, and shows every variant", () => {
    const overall = [...variants.values()].map(({ means }) => (100 * means.overall).toFixed(1));
    assert.ok(html.includes(`overall: ${overall[0]} to ${overall[2]}`));
    for (const name of variants.keys()) assert.ok(html.includes(`<th scope="row">${name}</th>`), name);
  });

  test("budgets are what single runs measure", () => {
    assert.equal(variants.get("direct")!.means.overall, direct.means.overall.value);
    assert.equal(variants.get("budget 64")!.means.overall, reasoned.means.overall.value);
    assert.ok(variants.get("budget 64")!.means.overall > variants.get("direct")!.means.overall + 0.5);
    assert.ok(variants.get("budget 8")!.datasets.every(({ overrunShare }) => overrunShare > 0.9));
  });

  test("what nano wrote and what is then read again agree", () => {
    for (const name of ["known rationales", "fp32 writes, fp32 reads"])
      assert.equal(variants.get(name)!.means.overall, variants.get("budget 64")!.means.overall, name);
  });

  test("drift of decoding and of reading out are told apart", () => {
    const [own, decoded, readOut, both] = [
      "fp32 writes, fp32",
      "int4 writes, fp32",
      "fp32 writes, int4",
      "int4 writes, int4",
    ].map((name) => {
      const { cosine, sameRationales } = variants.get(`${name} reads`)!.datasets[0]!;
      return { cosine: cosine!, same: sameRationales! };
    }) as [Drift, Drift, Drift, Drift];
    assert.ok(Math.abs(own.cosine - 1) < 1e-6 && own.same === 1);
    // Rationales of full precision, read with other weights: the same texts, not the same vectors.
    assert.equal(readOut.same, 1);
    assert.ok(readOut.cosine < 0.99999 && readOut.cosine > 0.9, String(readOut.cosine));
    assert.equal(decoded.same, both.same);
    assert.ok(both.cosine <= decoded.cosine + 1e-6);
  });

  test("a rationale from a file is read, and its query embedded after it", async () => {
    const file = join(root, "known.jsonl");
    const lines = ["OneHop", "TwoHop"].flatMap((dataset) =>
      (
        parseLines(readFileSync(join(root, "direct/queries", `${dataset}.jsonl`), "utf8")) as unknown as QueryRecord[]
      ).map(({ place }) => `${JSON.stringify({ dataset, place, rationale: "Look for nothing." })}\n`),
    );
    const args = ["--budgets", "0", "--formats", "none", "--rationales", file, "--json"];
    const ablate = ["eval", "ablate", ...data, "--out", join(root, "known"), ...args];
    writeFileSync(file, lines.join(""));
    const run = await runCli(ablate);
    assert.equal(run.status, 0, run.stderr);
    const [, known] = (JSON.parse(run.stdout) as { variants: VariantFigures[] }).variants;
    assert.ok(known!.means.overall < reasoned.means.overall.value - 0.5);
    writeFileSync(file, lines.slice(1).join(""));
    const refused = await runCli(ablate);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /no rationale for OneHop, .*row 1/);
  });

  test("rge eval compare finds that reasoning helps", async () => {
    const { status, stdout } = await runCli([
      "eval",
      "compare",
      join(root, "direct"),
      join(root, "reasoned"),
      "--json",
    ]);
    assert.equal(status, 0);
    const { datasets, means } = JSON.parse(stdout) as Comparison;
    assert.ok(datasets.every(({ significant, gained, lost }) => significant && gained > lost));
    const overall = means.find(({ name }) => name === "overall")!;
    assert.equal(overall.difference, reasoned.means.overall.value - direct.means.overall.value);
    assert.ok(overall.p < 0.01 && overall.interval.low > 0);
    const table = await runCli(["eval", "compare", join(root, "direct"), join(root, "reasoned")]);
    assert.match(table.stdout, /^TwoHop .*\*$/m);
  });
});
