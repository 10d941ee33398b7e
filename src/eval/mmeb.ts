/** Which datasets MMEB and MMEB-V2 are made of, and how each is measured. */
import type { BenchmarkDataset, MainMetric, Modality } from "./types.ts";

/** Datasets of one meta-task. */
interface Group {
  readonly modality: Modality;
  readonly metaTask: string;
  readonly ind: readonly string[];
  readonly ood: readonly string[];
}

/** Meng et al. 2025 (arXiv:2507.04590): the first candidate counts, but for documents the first five, with linear gain. */
const MAIN_METRICS: Readonly<Record<Modality, MainMetric>> = {
  image: "hit@1",
  video: "hit@1",
  visdoc: "ndcg_linear@5",
};

const IMAGE: readonly Group[] = [
  {
    modality: "image",
    metaTask: "classification",
    ind: ["ImageNet-1K", "N24News", "HatefulMemes", "VOC2007", "SUN397"],
    ood: ["Place365", "ImageNet-A", "ImageNet-R", "ObjectNet", "Country211"],
  },
  {
    modality: "image",
    metaTask: "vqa",
    ind: ["OK-VQA", "A-OKVQA", "DocVQA", "InfographicsVQA", "ChartQA", "Visual7W"],
    ood: ["ScienceQA", "VizWiz", "GQA", "TextVQA"],
  },
  {
    modality: "image",
    metaTask: "retrieval",
    ind: ["VisDial", "CIRR", "VisualNews_t2i", "VisualNews_i2t", "MSCOCO_t2i", "MSCOCO_i2t", "NIGHTS", "WebQA"],
    ood: ["OVEN", "FashionIQ", "EDIS", "Wiki-SS-NQ"],
  },
  {
    modality: "image",
    metaTask: "grounding",
    ind: ["MSCOCO"],
    ood: ["Visual7W-Pointing", "RefCOCO", "RefCOCO-Matching"],
  },
];

/** MMEB-train, which RGE learns from, has neither videos nor documents. */
const VIDEO: readonly Group[] = [
  {
    modality: "video",
    metaTask: "video-classification",
    ind: [],
    ood: ["K700", "SmthSmthV2", "HMDB51", "UCF101", "Breakfast"],
  },
  {
    modality: "video",
    metaTask: "video-qa",
    ind: [],
    ood: ["MVBench", "Video-MME", "NExTQA", "EgoSchema", "ActivityNetQA"],
  },
  {
    modality: "video",
    metaTask: "video-retrieval",
    ind: [],
    ood: ["DiDeMo", "MSR-VTT", "MSVD", "VATEX", "YouCook2"],
  },
  {
    modality: "video",
    metaTask: "moment-retrieval",
    ind: [],
    ood: ["QVHighlight", "Charades-STA", "MomentSeeker"],
  },
];

const VISDOC: readonly Group[] = [
  {
    modality: "visdoc",
    metaTask: "vidore-v1",
    ind: [],
    ood: [
      "ViDoRe_arxivqa",
      "ViDoRe_docvqa",
      "ViDoRe_infovqa",
      "ViDoRe_tabfquad",
      "ViDoRe_tatdqa",
      "ViDoRe_shiftproject",
      "ViDoRe_syntheticDocQA_artificial_intelligence",
      "ViDoRe_syntheticDocQA_energy",
      "ViDoRe_syntheticDocQA_government_reports",
      "ViDoRe_syntheticDocQA_healthcare_industry",
    ],
  },
  {
    modality: "visdoc",
    metaTask: "vidore-v2",
    ind: [],
    ood: [
      "ViDoRe_esg_reports_human_labeled_v2",
      "ViDoRe_biomedical_lectures_v2_multilingual",
      "ViDoRe_economics_reports_v2_multilingual",
      "ViDoRe_esg_reports_v2_multilingual",
    ],
  },
  {
    modality: "visdoc",
    metaTask: "visrag",
    ind: [],
    ood: ["VisRAG_ArxivQA", "VisRAG_ChartQA", "VisRAG_MP-DocVQA", "VisRAG_SlideVQA", "VisRAG_InfoVQA", "VisRAG_PlotQA"],
  },
  {
    modality: "visdoc",
    metaTask: "visdoc-ood",
    ind: [],
    ood: ["ViDoSeek-page", "ViDoSeek-doc", "MMLongBench-page", "MMLongBench-doc"],
  },
];

function datasetsOf(groups: readonly Group[]): BenchmarkDataset[] {
  return groups.flatMap(({ modality, metaTask, ind, ood }) => {
    const place = { modality, metaTask, metric: MAIN_METRICS[modality] };
    return [
      ...ind.map((name) => ({ name, ...place, ood: false })),
      ...ood.map((name) => ({ name, ...place, ood: true })),
    ];
  });
}

/** MMEB: 36 datasets of images, 20 of kinds that MMEB-train has (IND) and 16 of others (OOD). */
export const MMEB: readonly BenchmarkDataset[] = datasetsOf(IMAGE);

/**
 * MMEB-V2: MMEB, 18 datasets of videos and 24 of documents, under the benchmark's names. Its leaderboard scores repaired
 * releases of `ViDoSeek-page` and `MMLongBench-page`, and names them with `-fixed` at the end.
 */
export const MMEB_V2: readonly BenchmarkDataset[] = datasetsOf([...IMAGE, ...VIDEO, ...VISDOC]);
