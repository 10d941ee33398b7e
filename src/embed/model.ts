/** A checkpoint turned into sessions and what stands around them. Runs where the sessions run: in the worker. */
import { Checkpoint } from "../checkpoint/checkpoint.ts";
import { readModelConfig, type ModelConfig } from "../checkpoint/config.ts";
import { readGenerationConfig, type GenerationConfig } from "../checkpoint/generation-config.ts";
import { Graph } from "../graph/index.ts";
import { ChatTemplate } from "../input/chat-template.ts";
import { ImageProcessor } from "../input/image-processor.ts";
import { openingIds } from "../input/prompt.ts";
import { Tokenizer } from "../input/tokenizer.ts";
import { CheckpointError } from "../errors.ts";
import { buildHead, buildTextDecoder, EMBEDDING_LAYER, familyOf, type VisionTower } from "../models/index.ts";
import { Weights, type LinearFormat } from "../nn/weights.ts";
import { compileGraph } from "../runtime/compile-cache.ts";
import { Gate } from "../runtime/gate.ts";
import { int8Overflows } from "../runtime/int8-overflow.ts";
import { Session } from "../runtime/session.ts";
import { EmbeddingRows } from "./embedding-rows.ts";
import type { PartFormats } from "./formats.ts";
import { LanguageModel } from "./language-model.ts";
import type { LoadProgress } from "./types.ts";
import { VisionEncoder } from "./vision-encoder.ts";

/** What a model is opened with; plain data. */
export interface ModelRequest {
  readonly folder: string;
  readonly adapter: string | undefined;
  readonly formats: PartFormats;
  readonly threads: number;
  readonly cacheDir: string;
  /** Memory of the gate that sessions are to pass. */
  readonly gate?: SharedArrayBuffer | undefined;
}

/** An open model; disposing it frees its sessions and files. */
export interface OpenModel extends AsyncDisposable {
  /** The checkpoint's hash, adapter included. */
  readonly hash: string;
  readonly config: ModelConfig;
  readonly generation: GenerationConfig;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly images: ImageProcessor;
  readonly tower: VisionTower;
  readonly vision: VisionEncoder;
  readonly language: LanguageModel;
}

/**
 * Reads a checkpoint folder, compiles its graphs where the cache lacks them, and opens the sessions.
 * @throws {CheckpointError} for files that are missing, damaged or of an unknown family
 * @throws {RuntimeError} when the cache cannot be written or ORT refuses a graph
 */
export async function openModel(
  { folder, adapter, formats, threads, cacheDir, gate: gateMemory }: ModelRequest,
  onProgress: (progress: LoadProgress) => void,
): Promise<OpenModel> {
  const { config, tower, generation, tokenizer, template, images } = readPromptModel(folder);
  await using stack = new AsyncDisposableStack();
  const checkpoint = stack.use(Checkpoint.open(folder, adapter === undefined ? {} : { adapter }));
  checkTensors(checkpoint, config);
  const gate = new Gate(gateMemory);
  const wideInt8 = Object.values(formats).includes("rows8") && (await int8Overflows(gate));
  const open = async (graph: Graph): Promise<Session> => {
    const report = (doneBytes: number, totalBytes: number): void =>
      onProgress({ stage: "compile", graph: graph.name, doneBytes, totalBytes });
    const path = compileGraph(graph, { cacheDir, weightsHash: checkpoint.hash, onProgress: report });
    return stack.use(await Session.open(path, `${folder}: ${graph.name}`, { threads, gate, wideInt8 }));
  };
  const vision = await open(visionGraph(checkpoint, tower, formats.vision));
  const prefill = await open(decoderGraph(checkpoint, config, tower, formats.prefill));
  const decode =
    formats.decode === formats.prefill ? prefill : await open(decoderGraph(checkpoint, config, tower, formats.decode));
  const head = await open(headGraph(checkpoint, config, formats.head));
  const owned = stack.move();
  return {
    hash: checkpoint.hash,
    config,
    generation,
    tokenizer,
    template,
    images,
    tower,
    vision: new VisionEncoder(vision, tower, config.text.hidden),
    language: new LanguageModel(
      config.text,
      { prefill, decode, head },
      new EmbeddingRows(checkpoint),
      tower.deepstackCount,
      openingIds({ tokenizer, template }),
    ),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Reads everything of a checkpoint folder but its weights.
 * @throws {CheckpointError} for files that are missing, damaged, of an unknown family, or that do not belong together
 */
export function readPromptModel(
  folder: string,
): Pick<OpenModel, "config" | "tower" | "generation" | "tokenizer" | "template" | "images"> {
  const config = readModelConfig(folder);
  const tower = familyOf(config).vision(config);
  const generation = readGenerationConfig(folder);
  const tokenizer = Tokenizer.load(folder);
  const template = ChatTemplate.load(folder);
  const images = ImageProcessor.load(folder);
  checkPatches(images, tower, folder);
  return { config, tower, generation, tokenizer, template, images };
}

/** The vision tower as a graph: `embeds [tokens, hidden]` and `deepstack.i`. */
function visionGraph(source: Checkpoint, tower: VisionTower, format: LinearFormat): Graph {
  const graph = new Graph(`vision-${format}`);
  const { embeds, deepstack } = tower.build(
    graph,
    Weights.of(graph, source, () => format),
  );
  graph.output("embeds", embeds);
  deepstack.forEach((features, i) => graph.output(`deepstack.${i}`, features));
  return graph;
}

function decoderGraph(source: Checkpoint, config: ModelConfig, tower: VisionTower, format: LinearFormat): Graph {
  const graph = new Graph(`decoder-${format}`);
  buildTextDecoder(
    graph,
    Weights.of(graph, source, () => format),
    config.text,
    tower.deepstackCount,
  );
  return graph;
}

function headGraph(source: Checkpoint, config: ModelConfig, format: LinearFormat): Graph {
  const graph = new Graph(`head-${format}`);
  buildHead(
    graph,
    Weights.of(graph, source, () => format),
    config.text,
    isTied(source, config),
  );
  return graph;
}

/**
 * Whether the output layer is the embedding table. A file that says so and still carries an output layer of its own is
 * taken at its tensors where the two differ, as transformers does.
 */
export function isTied(checkpoint: Checkpoint, { tieWordEmbeddings }: ModelConfig): boolean {
  const [table, head] = [`${EMBEDDING_LAYER}.weight`, "lm_head.weight"];
  if (!tieWordEmbeddings || !checkpoint.has(head)) return tieWordEmbeddings;
  return (
    checkpoint.dtype(table) === checkpoint.dtype(head) &&
    Buffer.compare(checkpoint.readBytes(table), checkpoint.readBytes(head)) === 0
  );
}

function checkTensors(checkpoint: Checkpoint, config: ModelConfig): void {
  const { vocab, hidden } = config.text;
  const names = [
    EMBEDDING_LAYER,
    ...(config.tieWordEmbeddings && !checkpoint.has("lm_head.weight") ? [] : ["lm_head"]),
  ].map((layer) => `${layer}.weight`);
  for (const name of names) {
    const shape = checkpoint.shape(name);
    if (shape[0] !== vocab || shape[1] !== hidden)
      throw new CheckpointError(
        `${checkpoint.folder}: ${name} is [${shape.join(", ")}], config.json says [${vocab}, ${hidden}]. The files do not belong together.`,
      );
  }
}

function checkPatches({ config }: ImageProcessor, tower: VisionTower, folder: string): void {
  const pairs = [
    ["patch_size", config.patchSize, tower.patchSize],
    ["temporal_patch_size", config.temporalPatchSize, tower.temporalPatchSize],
    ["merge_size", config.mergeSize, tower.merge],
  ] as const;
  for (const [name, processor, model] of pairs)
    if (processor !== model)
      throw new CheckpointError(
        `${folder}: ${name} is ${processor} in preprocessor_config.json, the model's is ${model}`,
      );
}
