export { MemoryStore } from "./memory.ts";
export type {
  Collection,
  Condition,
  Filter,
  Hit,
  ItemFields,
  Metadata,
  MetadataValue,
  SearchRequest,
  Store,
  StoredItem,
  VectorOrigin,
  Version,
} from "./store.ts";
