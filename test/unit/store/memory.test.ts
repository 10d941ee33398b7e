import { MemoryStore } from "../../../src/store/memory.ts";
import { storeCases } from "../../support/store-cases.ts";

storeCases("MemoryStore", () => Promise.resolve(new MemoryStore()));
