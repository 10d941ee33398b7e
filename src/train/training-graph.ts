/**
 * The graph of one training run: packed rows of queries and targets through the model, the two losses, and the backward
 * pass. Weights are inputs under the checkpoint's names, so that what a run reads is what the optimizer wrote.
 */
import type { ModelConfig } from "../checkpoint/config.ts";
import { ShapeError } from "../errors.ts";
import { add, concat, gather, gradients, Graph, mul, reduceSum, scalar, split, type Tensor } from "../graph/index.ts";
import {
  EMBEDDING_LAYER,
  headLayer,
  packedInputs,
  packedTextDecoder,
  PREFIX,
  type VisionTower,
} from "../models/index.ts";
import { Weights, type LoraLayer, type TensorShapes } from "../nn/weights.ts";
import { crossEntropySum, infoNceSum, type ContrastiveOptions } from "./losses.ts";

/** What a model is made of, as far as its graph depends on it. */
export interface ModelShape {
  readonly config: ModelConfig;
  readonly tower: VisionTower;
  readonly shapes: TensorShapes;
  /** Whether the output layer is the embedding table. */
  readonly tied: boolean;
  readonly loraOf: (layer: string) => LoraLayer | undefined;
}

/** Weights of the two terms in the sum that is minimised. */
export interface Objective extends ContrastiveOptions {
  readonly arWeight: number;
  readonly embWeight: number;
  /** Keeps of each layer only what goes in, and computes the rest again in the backward pass. */
  readonly recompute: boolean;
}

/** Which graph. */
export interface GraphKind {
  /** Whether the rows hold images. */
  readonly images: boolean;
  /** Whether all sequences begin with the same tokens, which are computed once. */
  readonly prefix: boolean;
  /** Whether rationales are to be predicted. */
  readonly lm: boolean;
  /**
   * What becomes of the embeddings: no embeddings at all; InfoNCE in the graph; gradients that are given for them
   * (GradCache's second pass); or the states themselves and nothing backward (its first pass).
   */
  readonly embeddings: "none" | "contrast" | "given" | "states";
  /** Whether the backward pass is wanted. */
  readonly backward: boolean;
  /** Whether parts of LoRA's inputs are left out. */
  readonly dropout: boolean;
}

/** Ending of the names of inputs that hold dropout masks. */
export const DROPOUT_INPUT = ".lora_dropout";

/** Group of the segments of queries. */
export const QUERY_GROUP = "query";
/** Group of the segments of targets. */
export const TARGET_GROUP = "target";
/** Name of the layout of rows. */
export const LAYOUT = "rows";

/**
 * Inputs: weights; `source [rows]` int64, the row of each token in the embedding table followed by the image features;
 * `row_cos`, `row_sin` `[rows, headDim/2]`; the layout's (`packedInputs`); with images `patches` and the tower's, and
 * `deepstack.source [rows]` where the family has it; with `lm` `label_rows`, `labels` int64 `[labels]`, `lm_scale []`;
 * with embeddings `query_rows [queries]`, `target_rows [targets]` int64 and, for `contrast`, `contrast_scale []`,
 * `positive`, `excluded`; for `given`, `query_gradients`, `target_gradients`.
 * Outputs: `lm`, `contrastive` (scaled sums), `similarity [queries, targets]`, `queries`, `targets` (states), and
 * `gradient.NAME` of every trainable weight that the graph reads.
 */
export function buildTrainingGraph(
  model: ModelShape,
  kind: GraphKind,
  objective: Objective,
  trainable: ReadonlySet<string>,
): { graph: Graph; trained: readonly Tensor[] } {
  const parts = { lm: kind.lm, images: kind.images, prefix: kind.prefix };
  const named = Object.entries(parts).filter(([, has]) => has);
  const graph = new Graph(["train", kind.embeddings, ...named.map(([name]) => name)].join("-"));
  const weights = Weights.asInputs(graph, model.shapes, (layer) => {
    const lora = model.loraOf(layer);
    return lora === undefined ? undefined : { ...lora, dropout: lora.dropout && kind.dropout };
  });
  const wanted = [
    ...(kind.lm ? [graph.input("label_rows", "int64", ["labels"])] : []),
    ...(kind.embeddings === "none"
      ? []
      : [graph.input("query_rows", "int64", ["queries"]), graph.input("target_rows", "int64", ["targets"])]),
  ];
  const states = split(
    hiddenStates(graph, weights, model, kind, concat(wanted, 0)),
    wanted.map(({ shape }) => shape[0]!),
    0,
  );
  const losses: Tensor[] = [];
  if (kind.lm) {
    const picked = states[0]!;
    const head = weights.scope(headLayer(model.tied));
    const sum = crossEntropySum(
      picked,
      head.linear(picked),
      head.get("weight"),
      graph.input("labels", "int64", ["labels"]),
    );
    const lm = mul(sum, graph.input("lm_scale", "float32", []));
    graph.output("lm", lm);
    losses.push(weighted(lm, objective.arWeight));
  }
  if (kind.embeddings !== "none") {
    const [queries, targets] = states.slice(-2) as [Tensor, Tensor];
    if (kind.embeddings === "contrast") {
      losses.push(weighted(contrastiveLoss(graph, queries, targets, objective), objective.embWeight));
    } else if (kind.embeddings === "given") {
      for (const [name, tensor] of Object.entries({ query_gradients: queries, target_gradients: targets }))
        losses.push(reduceSum(mul(tensor, graph.input(name, "float32", tensor.shape)), [0, 1], false));
    } else {
      graph.output("queries", queries);
      graph.output("targets", targets);
    }
  }
  const trained = graph.inputs.filter(({ name }) => trainable.has(name));
  if (!kind.backward) return { graph, trained: [] };
  if (losses.length === 0) throw new ShapeError(`${graph.name}: nothing to minimise: both terms are turned off`);
  gradients(losses.reduce(add), trained, { recompute: objective.recompute }).forEach((gradient, i) =>
    graph.output(`gradient.${trained[i]!.name}`, gradient),
  );
  return { graph, trained };
}

/**
 * InfoNCE over states that are inputs: `queries [queries, hidden]`, `targets [targets, hidden]`; outputs as above, and
 * `gradient.queries`, `gradient.targets`.
 */
export function buildContrastGraph(hidden: number, objective: Objective): Graph {
  const graph = new Graph("contrast");
  const queries = graph.input("queries", "float32", ["queries", hidden]);
  const targets = graph.input("targets", "float32", ["targets", hidden]);
  const loss = weighted(contrastiveLoss(graph, queries, targets, objective), objective.embWeight);
  const [queryGradients, targetGradients] = gradients(loss, [queries, targets]);
  graph.output("gradient.queries", queryGradients!);
  graph.output("gradient.targets", targetGradients!);
  return graph;
}

function contrastiveLoss(graph: Graph, queries: Tensor, targets: Tensor, objective: Objective): Tensor {
  const { sum, similarity } = infoNceSum(graph, queries, targets, objective);
  const contrastive = mul(sum, graph.input("contrast_scale", "float32", []));
  graph.output("contrastive", contrastive);
  graph.output("similarity", similarity);
  return contrastive;
}

function weighted(loss: Tensor, weight: number): Tensor {
  return weight === 1 ? loss : mul(loss, scalar(loss, weight));
}

/** States of the rows `picked` after the final norm, `[picked, hidden]`. */
function hiddenStates(
  graph: Graph,
  weights: Weights,
  { config, tower }: ModelShape,
  kind: GraphKind,
  picked: Tensor,
): Tensor {
  const { headDim, hidden } = config.text;
  const source = graph.input("source", "int64", ["rows"]);
  const cos = graph.input("row_cos", "float32", ["rows", headDim / 2]);
  const sin = graph.input("row_sin", "float32", ["rows", headDim / 2]);
  const groups = [...(kind.prefix ? [PREFIX] : []), QUERY_GROUP, ...(kind.embeddings === "none" ? [] : [TARGET_GROUP])];
  const layout = packedInputs(graph, LAYOUT, groups, "rows", "causal", config.text);
  const table = weights.scope(EMBEDDING_LAYER).get("weight");
  if (!kind.images) {
    const embeds = gather(table, source);
    return packedTextDecoder({ embeds, cos, sin, layout, deepstack: [] }, picked, weights, config.text);
  }
  const features = graph.within("visual", () => tower.buildForTraining(graph, weights));
  // One gather over words and images alike; a picture that stands in several rows is seen once.
  const embeds = gather(concat([table, features.embeds], 0), source);
  const nothing = graph.constant(
    "float32",
    Array.from({ length: hidden }, () => 0),
    [1, hidden],
  );
  const deepstackSource =
    features.deepstack.length === 0 ? undefined : graph.input("deepstack.source", "int64", ["rows"]);
  const deepstack = features.deepstack.map((layer) => gather(concat([nothing, layer], 0), deepstackSource!));
  return packedTextDecoder({ embeds, cos, sin, layout, deepstack }, picked, weights, config.text);
}
