export { askKnown, readKnownQueries, type LabelledQuery } from "./known-queries.ts";
export {
  calibrate,
  chanceOf,
  cheapestKeeping,
  parseCalibration,
  tradeOffs,
  type Calibration,
  type KnownQuery,
  type TradeOff,
} from "./calibration.ts";
export { indexSource, type IndexCounts, type IndexOptions } from "./indexer.ts";
export { QueryEmbedder } from "./query-embedder.ts";
export {
  Searcher,
  type SearchAnswer,
  type SearchHit,
  type SearchMode,
  type SearchOptions,
  type SearchQuery,
} from "./searcher.ts";
export { readSource, type SourceEntry, type SourceItem } from "./source.ts";
