/**
 * The file that the MMEB leaderboard takes, `scores/<model>.json` of the Space TIGER-Lab/MMEB-Leaderboard, as VLM2Vec's
 * `experiments/report_score_v2.py` writes it.
 */
import { basename } from "node:path";
import { z } from "zod";
import { METRIC_KEYS } from "./metrics.ts";
import type { EvalResults, Modality } from "./types.ts";

/** Names under which the leaderboard has its datasets. */
export const LEADERBOARD_DATASETS: Readonly<Record<Modality, readonly string[]>> = {
  image: words(`ImageNet-1K N24News HatefulMemes VOC2007 SUN397 Place365 ImageNet-A ImageNet-R ObjectNet Country211
    OK-VQA A-OKVQA DocVQA InfographicsVQA ChartQA Visual7W ScienceQA VizWiz GQA TextVQA
    VisDial CIRR VisualNews_t2i VisualNews_i2t MSCOCO_t2i MSCOCO_i2t NIGHTS WebQA FashionIQ Wiki-SS-NQ OVEN EDIS
    MSCOCO RefCOCO RefCOCO-Matching Visual7W-Pointing`),
  video: words(`K700 SmthSmthV2 HMDB51 UCF101 Breakfast MVBench Video-MME NExTQA EgoSchema ActivityNetQA
    DiDeMo MSR-VTT MSVD VATEX YouCook2 QVHighlight Charades-STA MomentSeeker`),
  visdoc: words(`ViDoRe_arxivqa ViDoRe_docvqa ViDoRe_infovqa ViDoRe_tabfquad ViDoRe_tatdqa ViDoRe_shiftproject
    ViDoRe_syntheticDocQA_artificial_intelligence ViDoRe_syntheticDocQA_energy
    ViDoRe_syntheticDocQA_government_reports ViDoRe_syntheticDocQA_healthcare_industry
    ViDoRe_esg_reports_human_labeled_v2 ViDoRe_biomedical_lectures_v2_multilingual
    ViDoRe_economics_reports_v2_multilingual ViDoRe_esg_reports_v2_multilingual
    VisRAG_ArxivQA VisRAG_ChartQA VisRAG_MP-DocVQA VisRAG_SlideVQA VisRAG_InfoVQA VisRAG_PlotQA
    ViDoSeek-page-fixed ViDoSeek-doc MMLongBench-page-fixed MMLongBench-doc`),
};

/** Ends the names of the page sets' repaired releases (VLM2Vec's issue 167), which alone are scored. */
const REPAIRED = "-fixed";

/** What the leaderboard shows of a model; `null` where it is not known or does not apply. */
export interface LeaderboardMetadata {
  readonly model_name: string;
  readonly model_backbone: string | null;
  /** Parameters, in billions. */
  readonly model_size: number | null;
  readonly embedding_dimension: number | null;
  readonly max_length_tokens: number | null;
  /** `2026-01-08`. */
  readonly model_release_date: string | null;
  /** `Self-Reported` for all but TIGER-Lab's own. */
  readonly data_source: string;
  readonly url: string | null;
  /** UTC without a zone: `2026-01-06T15:18:12.733`. */
  readonly report_generated_date: string;
}

/** The leaderboard's file: means of METRIC_KEYS, `num_pred` and `num_data`, by modality and dataset. */
export interface Leaderboard {
  readonly metadata: LeaderboardMetadata;
  readonly metrics: Readonly<Record<Modality, Readonly<Record<string, Readonly<Record<string, number>>>>>>;
}

const count = z.int().positive();

const scoresSchema = z.strictObject({
  ...Object.fromEntries(METRIC_KEYS.map((key) => [key, z.number().min(0).max(1)])),
  num_pred: count,
  num_data: count,
});

/** Written from `Qwen3-VL-Embedding-8B.json`, which VLM2Vec keeps in `docs/mmebv2_reproduction/leaderboard`. */
export const leaderboardSchema: z.ZodType<Leaderboard> = z.strictObject({
  metadata: z.strictObject({
    model_name: z.string().min(1),
    model_backbone: z.string().min(1).nullable(),
    model_size: z.number().positive().nullable(),
    embedding_dimension: count.nullable(),
    max_length_tokens: count.nullable(),
    model_release_date: z.iso.date().nullable(),
    data_source: z.string().min(1),
    url: z.url().nullable(),
    report_generated_date: z.iso.datetime({ local: true }),
  }),
  metrics: z.strictObject({
    image: datasetsSchema("image"),
    video: datasetsSchema("video"),
    visdoc: datasetsSchema("visdoc"),
  }),
});

/**
 * What `results` are on the leaderboard. Datasets that were not evaluated are left out; how many queries a figure is
 * from, `num_data` tells.
 * @param about what results do not say of the model: its backbone, its size, its release
 * @throws {Error} internal: results of another benchmark, a dataset that the leaderboard does not have, a metric that
 *   is missing
 */
export function leaderboardOf(results: EvalResults, about: Partial<LeaderboardMetadata> = {}): Leaderboard {
  const { model, time, embeddingDimension } = results.provenance;
  const { organization, name } = modelName(model);
  const ofModality = (modality: Modality) =>
    Object.fromEntries(
      results.datasets
        .filter((dataset) => dataset.modality === modality)
        .map(({ name: dataset, metrics, queries }) => [
          leaderboardName(dataset),
          {
            ...Object.fromEntries(METRIC_KEYS.map((key) => [key, metrics[key]])),
            num_pred: queries,
            num_data: queries,
          },
        ]),
    );
  const built = leaderboardSchema.safeParse({
    metadata: {
      model_name: name,
      model_backbone: null,
      model_size: null,
      embedding_dimension: embeddingDimension,
      max_length_tokens: null,
      model_release_date: null,
      data_source: "Self-Reported",
      url: organization === LOCAL ? null : `https://huggingface.co/${organization}/${name}`,
      report_generated_date: time.replace(/Z$/, ""),
      ...about,
    },
    metrics: { image: ofModality("image"), video: ofModality("video"), visdoc: ofModality("visdoc") },
  });
  if (!built.success) throw new Error(`internal: not what the leaderboard takes: ${z.prettifyError(built.error)}`);
  return built.data;
}

/** What stands for the organization of a model that is a folder. */
export const LOCAL = "local";

/**
 * The two parts of a model's name.
 * @param model `owner/model` or `owner/model@revision` on the hub, otherwise a folder. Two names with a slash between
 *   them are taken for the hub's: a folder beside the current one is to be given with its whole path.
 * @returns for a folder `local` and its own name
 */
export function modelName(model: string): { readonly organization: string; readonly name: string } {
  const [, organization, name] = /^([A-Za-z0-9_][\w.-]*)\/([A-Za-z0-9_][\w.-]*)(?:@.+)?$/.exec(model) ?? [];
  if (organization !== undefined && name !== undefined) return { organization, name };
  return { organization: LOCAL, name: basename(model) };
}

function datasetsSchema(modality: Modality) {
  const known = new Set(LEADERBOARD_DATASETS[modality]);
  const name = z.string().refine((it) => known.has(it), { error: `the leaderboard has no such dataset (${modality})` });
  return z.record(name, scoresSchema);
}

/** MMEB-V2 has two datasets under names of their own. */
function leaderboardName(dataset: string): string {
  return ["ViDoSeek-page", "MMLongBench-page"].includes(dataset) ? dataset + REPAIRED : dataset;
}

function words(text: string): readonly string[] {
  return text.split(/\s+/);
}
