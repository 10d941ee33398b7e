/**
 * How long MMEB's 36 x 1000 queries take with Qwen2.5-VL-3B's shapes: on this machine from parts that are measured, on a
 * served GPU engine from arithmetic, as none can be measured here.
 *
 *   node bench/eval-estimate.ts [--weights int8] [--batch 4] [--rationale 96] [--targets 1000] [--folder DIR]
 *
 * The first run writes a random checkpoint (7.5 GB) and compiles it; both stay in --folder. Nothing else may run meanwhile.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { MMEB } from "../src/eval/mmeb.ts";
import { Embedder, type EmbedItem, type WeightFormat } from "../src/index.ts";
import { machineName } from "../src/provenance.ts";
import { randomCheckpoint } from "./random-checkpoint.ts";

const IMAGE = join(import.meta.dirname, "../test/fixtures/images/example.jpg");
const TEXT =
  "<|vision_start|><|image_pad|><|vision_end|>\nAnswer the question based on the given image: What is in it?\n";
const TOKEN_PIXELS = 28 ** 2;
const QUERIES = 1000;
/** Tokens of a picture within RGE's bounds: a photo of 640 x 480, a page or a chart, a crop that is stretched. */
const TOKENS = { photo: 391, page: 1024, crop: 256 };
const PAGES = new Set(["DocVQA", "InfographicsVQA", "ChartQA", "Wiki-SS-NQ"]);
const TEXT_QUERIES = new Set(["VisDial", "VisualNews_t2i", "MSCOCO_t2i", "WebQA", "EDIS", "Wiki-SS-NQ"]);
const TEXT_TARGETS = new Set(["VisualNews_i2t", "MSCOCO_i2t"]);
/** Different labels of classification. */
const LABELS: Readonly<Record<string, number>> = {
  "ImageNet-1K": 1000,
  N24News: 24,
  HatefulMemes: 2,
  VOC2007: 20,
  SUN397: 397,
  Place365: 365,
  "ImageNet-A": 1000,
  "ImageNet-R": 200,
  ObjectNet: 313,
  Country211: 211,
};
/** An H100 by its data sheet, of which engines reach some 40% in long products; weights are read once a step. */
const GPU = { flops: 0.4 * 989e12, bytesPerS: 3.35e12, batch: 64, stepOverheadS: 2e-3 };
const LM_WEIGHTS = 3.09e9;
const VISION_WEIGHTS = 0.67e9;
/** Patches that one token of a picture stands for. */
const PATCHES = 4;

const { values } = parseArgs({
  options: {
    weights: { type: "string", default: "int8" },
    batch: { type: "string", default: "4" },
    rationale: { type: "string", default: "96" },
    targets: { type: "string", default: "1000" },
    folder: { type: "string", default: join(tmpdir(), "rge-bench") },
  },
});
const batch = Number(values.batch);
const rationale = Number(values.rationale);

/** Seconds an item, without writing, by tokens of its picture: measured at both of RGE's bounds, between them a line. */
interface Parts {
  readonly text: number;
  readonly small: number;
  readonly large: number;
  /** Of one more token of a rationale. */
  readonly token: number;
}

function withPicture(tokens: number): EmbedItem {
  return {
    role: "target",
    text: TEXT,
    images: [IMAGE],
    minPixels: tokens * TOKEN_PIXELS,
    maxPixels: tokens * TOKEN_PIXELS,
  };
}

/** The model never ends by itself, as it is random. */
function written(maxNewTokens: number): EmbedItem {
  return { ...withPicture(TOKENS.crop), role: "query", reason: { maxNewTokens } };
}

async function measure(): Promise<Parts> {
  const folder = randomCheckpoint(join(values.folder, "3b"), { layers: 36, depth: 32, seed: 1 });
  await using rge = await Embedder.load(folder, {
    weights: values.weights as WeightFormat,
    batch,
    cacheDir: join(values.folder, "cache"),
  });
  const seconds = async (what: string, item: EmbedItem): Promise<number> => {
    const startMs = performance.now();
    await rge.embedTogether(Array.from({ length: batch }, () => item));
    const taken = (performance.now() - startMs) / 1000 / batch;
    console.log(`  ${what}: ${taken.toFixed(2)} s an item`);
    return taken;
  };
  await seconds("warming up", { role: "target", text: "warm up\n" });
  const parts = {
    text: await seconds("a text", { role: "target", text: "Summarize the following answer in one word: a dog\n" }),
    small: await seconds(`a picture of ${TOKENS.crop} tokens`, withPicture(TOKENS.crop)),
    large: await seconds(`a picture of ${TOKENS.page} tokens`, withPicture(TOKENS.page)),
  };
  // Between the two lie 16 steps.
  const [long, short] = [
    await seconds("24 tokens written", written(24)),
    await seconds("8 tokens written", written(8)),
  ];
  const token = (long - short) / 16;
  return { ...parts, token };
}

/** Items of one kind. */
interface Load {
  readonly count: number;
  /** Of the picture; 0 without one. */
  readonly tokens: number;
  readonly reasons: boolean;
}

const loads = MMEB.flatMap(({ name, metaTask }): Load[] => {
  const picture = PAGES.has(name) ? TOKENS.page : TOKENS.photo;
  const queries = { count: QUERIES, tokens: TEXT_QUERIES.has(name) ? 0 : picture, reasons: true };
  if (metaTask === "classification") return [queries, { count: LABELS[name]!, tokens: 0, reasons: false }];
  const isText = metaTask === "vqa" || TEXT_TARGETS.has(name);
  const tokens = isText ? 0 : metaTask === "grounding" ? TOKENS.crop : picture;
  return [queries, { count: Number(values.targets), tokens, reasons: false }];
});

const parts = await measure();
const perToken = (parts.large - parts.small) / (TOKENS.page - TOKENS.crop);
const cpuSeconds = ({ count, tokens, reasons }: Load): number => {
  const read = tokens === 0 ? parts.text : parts.small + (tokens - TOKENS.crop) * perToken;
  return count * (read + (reasons ? rationale * parts.token : 0));
};
const gpuSeconds = ({ count, tokens, reasons }: Load): number => {
  const read = (2 * (LM_WEIGHTS * (tokens + 40) + VISION_WEIGHTS * tokens * PATCHES)) / GPU.flops;
  const step = (2 * LM_WEIGHTS) / GPU.bytesPerS + GPU.stepOverheadS;
  // Two servers, one that writes and one that embeds: a query's picture is read twice.
  return count * (reasons ? 2 * read + (rationale * step) / GPU.batch : read);
};
const total = (of: (load: Load) => number, reasons: boolean): number =>
  loads.filter((load) => load.reasons === reasons).reduce((sum, load) => sum + of(load), 0);
console.log(
  `${machineName()}, ${values.weights}, batch ${batch}; seconds an item: text ${parts.text.toFixed(2)}, picture of ${TOKENS.crop} tokens ${parts.small.toFixed(2)}, of ${TOKENS.page} ${parts.large.toFixed(2)}; a token written ${parts.token.toFixed(3)}`,
);
console.log(
  `36 x ${QUERIES} queries with ${rationale} tokens each, ${values.targets} different targets a dataset where they are not labels:`,
);
for (const [what, of] of [
  ["this machine, from these parts", cpuSeconds],
  ["one H100 behind two served engines, by arithmetic, not measured", gpuSeconds],
] as const) {
  const [queries, targets] = [total(of, true), total(of, false)];
  console.log(`  ${what}: queries ${hours(queries)}, targets ${hours(targets)}, in all ${hours(queries + targets)}`);
}

function hours(seconds: number): string {
  return seconds < 7200 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(0)} h`;
}
