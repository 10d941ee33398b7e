/**
 * Results as files that MTEB's tools read: `results/<organization>__<model>/<revision>/<task>.json` and, beside them,
 * `model_meta.json`, in the layout of github.com/embeddings-benchmark/results. Figures are MMEB's and named as there:
 * MTEB's MAP is divided differently, and MTEB has other tasks called SUN397 or VOC2007.
 */
import { z } from "zod";
import { LOCAL, modelName } from "./leaderboard.ts";
import type { DatasetResult, EvalResults } from "./types.ts";

/** A file that is to be written. */
export interface MtebFile {
  /** With forward slashes, relative to where results go. */
  readonly path: string;
  readonly json: unknown;
}

/** What goes before a dataset's name. */
const TASK_PREFIX: Readonly<Record<EvalResults["benchmark"], string>> = {
  mmeb: "MMEB",
  "mmeb-v2": "MMEB-V2",
  scenes: "Scenes",
};

const languages = z.array(z.string().regex(/^[a-z]{3}-[A-Z][a-z]{3}$/));

/** `TaskResult` of mteb 2: what `model_validate_json` asks for, and `date` as `to_disk` writes it. */
export const mtebTaskSchema: z.ZodType = z.strictObject({
  dataset_revision: z.string().min(1),
  task_name: z.string().min(1),
  mteb_version: z.string().nullable(),
  scores: z.record(
    z.string(),
    z.array(z.looseObject({ main_score: z.number(), hf_subset: z.string(), languages: languages.min(1) })),
  ),
  evaluation_time: z.number().nullable(),
  kg_co2_emissions: z.number().nullable().optional(),
  /** Seconds since 1970. */
  date: z.number().nullable().optional(),
});

const text = z.string().nullable();

/** `ModelMeta` of mteb 2, which refuses fields that it does not know. */
export const modelMetaSchema: z.ZodType = z.strictObject({
  loader: text,
  loader_kwargs: z.record(z.string(), z.unknown()).optional(),
  name: z.string().regex(/^[^/]+\/[^/]+$/),
  revision: text,
  release_date: z.iso.date().nullable(),
  languages: languages.nullable(),
  n_parameters: z.int().nullable(),
  memory_usage_mb: z.number().nullable(),
  max_tokens: z.number().nullable(),
  embed_dim: z.int().nullable(),
  license: text,
  open_weights: z.boolean().nullable(),
  public_training_code: text,
  public_training_data: z.union([z.string(), z.boolean()]).nullable(),
  framework: z.array(z.string()),
  reference: z.url().nullable().optional(),
  similarity_fn_name: z.enum(["cosine", "dot", "MaxSim", "euclidean", "manhattan", "custom"]).nullable(),
  use_instructions: z.boolean().nullable(),
  training_datasets: z.array(z.string()).nullable(),
  adapted_from: text.optional(),
  superseded_by: text.optional(),
  modalities: z.array(z.enum(["text", "image", "audio", "video"])).optional(),
  is_cross_encoder: z.boolean().nullable().optional(),
  citation: text.optional(),
  contacts: z.array(z.string()).nullable().optional(),
});

/**
 * A file per dataset, and the model's. The revision is the hash of its weights; what results do not say is `null`:
 * `mteb_version`, as mteb had no part in them, and `evaluation_time`, as time was taken of all datasets together.
 * @throws {Error} internal: datasets whose files would have the same name, or what mteb would not read
 */
export function mtebFiles(results: EvalResults): MtebFile[] {
  const { organization, name } = modelName(results.provenance.model);
  const { modelHash } = results.provenance;
  const folder = ["results", `${safe(organization)}__${safe(name)}`, safe(modelHash)].join("/");
  const files = [
    ...results.datasets.map((dataset) => {
      const task = `${TASK_PREFIX[results.benchmark]}-${dataset.name}`;
      return fileOf(`${folder}/${safe(task)}.json`, taskResult(task, dataset, results), mtebTaskSchema);
    }),
    fileOf(`${folder}/model_meta.json`, modelMeta(organization, name, results), modelMetaSchema),
  ];
  const paths = new Set(files.map(({ path }) => path));
  if (paths.size < files.length) throw new Error(`internal: datasets share a file among ${[...paths].join(", ")}`);
  return files;
}

function taskResult(task: string, dataset: DatasetResult, { provenance }: EvalResults): unknown {
  const { metrics, metric, dataHash, name } = dataset;
  return {
    // The hub's commit where there is one; mteb takes no file without a revision.
    dataset_revision: provenance.dataRevision ?? `sha256:${dataHash}`,
    task_name: task,
    mteb_version: null,
    scores: {
      test: [{ ...metrics, main_score: metrics[metric], hf_subset: "default", languages: languagesOf(name) }],
    },
    evaluation_time: null,
    kg_co2_emissions: null,
    date: Date.parse(provenance.time) / 1000,
  };
}

function modelMeta(organization: string, name: string, { provenance }: EvalResults): unknown {
  return {
    loader: null,
    loader_kwargs: {},
    name: `${organization}/${name}`,
    revision: provenance.modelHash,
    release_date: null,
    languages: null,
    n_parameters: null,
    memory_usage_mb: null,
    max_tokens: null,
    embed_dim: provenance.embeddingDimension,
    license: null,
    open_weights: null,
    public_training_code: null,
    public_training_data: null,
    framework: ["safetensors", "ONNX"],
    reference: organization === LOCAL ? null : `https://huggingface.co/${organization}/${name}`,
    similarity_fn_name: "cosine",
    use_instructions: null,
    training_datasets: null,
    modalities: ["text", "image"],
  };
}

/** As in mteb's own tasks of ViDoRe; all the rest is English. */
function languagesOf(dataset: string): string[] {
  return dataset.endsWith("_multilingual") ? ["fra-Latn", "spa-Latn", "eng-Latn", "deu-Latn"] : ["eng-Latn"];
}

function fileOf(path: string, json: unknown, schema: z.ZodType): MtebFile {
  const checked = schema.safeParse(json);
  if (!checked.success) throw new Error(`internal: ${path}: not what mteb reads: ${z.prettifyError(checked.error)}`);
  return { path, json };
}

/** A name that is one part of a path on every system, and no hidden file. */
function safe(name: string): string {
  return name.replace(/[^\w.-]/g, "_").replace(/^\.+|\.+$/g, (dots) => "_".repeat(dots.length));
}
