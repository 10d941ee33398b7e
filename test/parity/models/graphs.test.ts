/** The graphs of every family against transformers' own numbers, without the Embedder around them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Grid } from "../../../src/input/patches.ts";
import { assertClose } from "../../support/assert-close.ts";
import { DirectModel, joined } from "../../support/direct-model.ts";
import { casesOf, checkpointOf, FAMILIES, pixelValuesOf, referenceOf } from "../../support/fixtures.ts";

for (const family of FAMILIES)
  test(`${family} has transformers' positions, image features, hidden states and logits`, async (t) => {
    await using model = await DirectModel.open(checkpointOf(family));
    const reference = referenceOf(family);
    const floatsOf = (name: string, tensor: string): Float32Array => reference(name, tensor).data as Float32Array;
    const pixelValues = pixelValuesOf(family);
    for (const { name, input_ids: ids, image_grid_thw: grids = [], rope_delta: delta } of casesOf(family))
      await t.test(name, async () => {
        const positions = model.positions(ids, grids);
        assert.deepEqual(
          positions.axes.flatMap((axis) => [...axis]),
          Array.from(reference(name, "position_ids").data, Number),
        );
        assert.equal(positions.delta, delta);

        const features = await model.encode(grids.length === 0 ? new Float32Array(0) : pixelValues(name).data, grids);
        if (grids.length > 0)
          assertClose(features.embeds, floatsOf(name, "image_embeds"), { rtol: 0, atol: 1e-5 }, "image_embeds");

        const hidden = await model.hidden(ids, grids, features);
        assertClose(hidden, floatsOf(name, "hidden_states"), { rtol: 0, atol: 1e-4 }, "hidden_states");

        const logits = await model.logits(hidden.slice(-model.config.text.hidden));
        assertClose(logits, floatsOf(name, "last_logits"), { rtol: 1e-5, atol: 2e-4 }, "last_logits");
      });
  });

test("pictures of one patch count in one run have the features they have alone", async () => {
  for (const family of FAMILIES) {
    await using model = await DirectModel.open(checkpointOf(family));
    const { data } = pixelValuesOf(family)("photo");
    const grid = casesOf(family).find(({ name }) => name === "photo")!.image_grid_thw![0]!;
    // The same patches read as a picture of the other orientation: as many, on another grid.
    const grids: Grid[] = [grid, [1, grid[2], grid[1]]];
    const pixels = joined([data, data]);
    const [together, alone] = [await model.encodeTogether(pixels, grids), await model.encode(pixels, grids)];
    assertClose(together.embeds, alone.embeds, { rtol: 0, atol: 1e-5 }, `${family} embeds`);
    for (const [i, layer] of together.deepstack.entries())
      assertClose(layer, alone.deepstack[i]!, { rtol: 0, atol: 1e-5 }, `${family} deepstack.${i}`);
  }
});
