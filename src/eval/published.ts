/** What others report on MMEB and MMEB-V2, to stand beside a run's own figures. */

/** Percent, as printed. */
interface PublishedFigures {
  readonly system: string;
  /** Mean over the benchmark's datasets. */
  readonly overall: number;
  /** Where the figures were read. */
  readonly source: string;
}

/** Means of precision@1 on MMEB. */
export interface PublishedMmeb extends PublishedFigures {
  /** Over the datasets of a meta-task, where they are printed. */
  readonly metaTasks?: Readonly<Record<"classification" | "vqa" | "retrieval" | "grounding", number>> | undefined;
  readonly ind?: number | undefined;
  readonly ood?: number | undefined;
}

/** Means on MMEB-V2: hit@1 of images and videos, NDCG@5 with linear gain of documents. */
export interface PublishedMmebV2 extends PublishedFigures {
  /** Whether the model writes text before it embeds. */
  readonly reasons: boolean;
  readonly modalities?: Readonly<Record<"image" | "video" | "visdoc", number>> | undefined;
}

const CHART = "chart in the README of MCG-NJU/RGE";
const SURVEY = "survey of November 2026 for this project, not read in the original";

/** Systems on MMEB, RGE's own rows first. */
export const PUBLISHED_MMEB: readonly PublishedMmeb[] = [
  {
    system: "RGE 3B",
    metaTasks: { classification: 64.4, vqa: 67.8, retrieval: 70.2, grounding: 90.1 },
    ind: 75.3,
    ood: 63.7,
    overall: 70.1,
    source: CHART,
  },
  {
    system: "RGE's baseline without reasoning, 3B",
    metaTasks: { classification: 59.5, vqa: 59.9, retrieval: 66.8, grounding: 88.0 },
    ind: 70.6,
    ood: 58.4,
    overall: 65.2,
    source: CHART,
  },
  {
    system: "MoCa 3B",
    metaTasks: { classification: 59.8, vqa: 62.9, retrieval: 70.6, grounding: 88.6 },
    ind: 72.3,
    ood: 61.5,
    overall: 67.5,
    source: CHART,
  },
  {
    system: "B3 2B",
    metaTasks: { classification: 67.0, vqa: 61.2, retrieval: 70.9, grounding: 79.9 },
    ind: 72.1,
    ood: 63.1,
    overall: 68.1,
    source: CHART,
  },
  { system: "VLM2Vec 7B", overall: 65.8, source: CHART },
  { system: "LLaVE 2B", overall: 65.2, source: CHART },
  { system: "UniME Phi", overall: 64.2, source: CHART },
  { system: "CLIP", overall: 37.8, source: CHART },
];

/** Systems on MMEB-V2, the best first; papers are named as the survey found them. */
export const PUBLISHED_MMEB_V2: readonly PublishedMmebV2[] = [
  { system: "WeMM-Embedding 9B", reasons: false, overall: 80.6, source: SURVEY },
  { system: "WeMM-Embedding 2B", reasons: false, overall: 77.9, source: SURVEY },
  {
    system: "Qwen3-VL-Embedding 8B",
    reasons: false,
    modalities: { image: 80.12, video: 67.15, visdoc: 82.36 },
    overall: 77.8,
    source: "MMEB-V2 leaderboard, scores/Qwen3-VL-Embedding-8B.json of January 2026",
  },
  { system: "Seed-1.6", reasons: false, overall: 76.9, source: SURVEY },
  { system: "IFM-TTE", reasons: true, overall: 74.1, source: SURVEY },
  { system: "Qwen3-VL-Embedding 2B", reasons: false, overall: 73.2, source: SURVEY },
  { system: "RzenEmbed 8B", reasons: false, overall: 72.9, source: SURVEY },
  { system: "Think-Then-Embed 7B, reasoner of 72B", reasons: true, overall: 71.5, source: "arXiv:2510.05014" },
  { system: "MMEmb-R1 4B", reasons: true, overall: 71.2, source: "arXiv:2604.06156" },
  { system: "Think-Then-Embed 7B", reasons: true, overall: 68.6, source: "arXiv:2510.05014" },
  { system: "RIME", reasons: true, overall: 68.6, source: "arXiv:2604.22280" },
  { system: "Embed-RL 4B", reasons: true, overall: 68.1, source: "arXiv:2602.13823" },
  { system: "Embed-RL 2B", reasons: true, overall: 66.8, source: "arXiv:2602.13823" },
  { system: "UME-R1 7B", reasons: true, overall: 64.5, source: "arXiv:2511.00405" },
  { system: "PLUME", reasons: true, overall: 61.6, source: "arXiv:2604.02073" },
  { system: "UME-R1 2B", reasons: true, overall: 60.1, source: "arXiv:2511.00405" },
  { system: "VLM2Vec-V2 2B", reasons: false, overall: 59.2, source: `${SURVEY}; with the repaired page sets` },
];
