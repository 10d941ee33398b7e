"""The other side of bench/speed.ts: the same checkpoint, image and text through transformers, bf16 on the CPU.

  python bench/transformers_reference.py FOLDER IMAGE TEXT PIXELS THREADS CASES_JSON

CASES_JSON is a list of {"name", "batch", "newTokens"}; newTokens 0 embeds directly. Prints one JSON line per case,
{"name", "seconds", "itemsPerSecond"}, seconds for the whole batch, the best of its repeats.
"""
import json, sys, time
import torch, transformers
from PIL import Image
from transformers import AutoTokenizer, GenerationConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

folder, image, text, pixels, threads, cases = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), json.loads(sys.argv[6])
torch.set_num_threads(threads)
tok = AutoTokenizer.from_pretrained(folder)
model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16).eval()
proc = Qwen2VLImageProcessorPil(patch_size=14, temporal_patch_size=2, merge_size=2, size={"shortest_edge": pixels, "longest_edge": pixels})
emb, pad = tok.convert_tokens_to_ids("<emb>"), tok.convert_tokens_to_ids("<|endoftext|>")
print(json.dumps({"torch": torch.__version__, "transformers": transformers.__version__}), flush=True)


def inputs(batch, suffix):
    images = [Image.open(image).convert("RGB") for _ in range(batch)]
    feats = proc(images=images, return_tensors="pt")
    prompt = tok.apply_chat_template([{"role": "user", "content": [{"type": "text", "text": text}]}], tokenize=False, add_generation_prompt=True) + suffix
    count = int(feats["image_grid_thw"][0].prod()) // 4
    ids = tok([prompt.replace("<|image_pad|>", "<|image_pad|>" * count)] * batch, add_special_tokens=False, return_tensors="pt")["input_ids"]
    types = (ids == model.config.image_token_id).long()
    return dict(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=feats["pixel_values"].bfloat16(), image_grid_thw=feats["image_grid_thw"], mm_token_type_ids=types)


@torch.no_grad()
def run(batch, new_tokens):
    if new_tokens == 0:
        h = model.model(**inputs(batch, "<emb>"), use_cache=False).last_hidden_state
        return torch.nn.functional.normalize(h[:, -1].float(), dim=-1)
    made = model.generate(**inputs(batch, ""), return_dict_in_generate=True, generation_config=GenerationConfig(
        max_new_tokens=new_tokens, min_new_tokens=new_tokens, do_sample=False, repetition_penalty=1.05, eos_token_id=emb, pad_token_id=pad, use_cache=True))
    # The reference then takes one more step on the cache for the hidden state of the last token.
    last = made.sequences[:, -1:]
    past = made.past_key_values
    length = past.get_seq_length()
    pos = (torch.arange(length, length + 1).view(1, 1, -1).expand(3, batch, -1) + model.model.rope_deltas.view(1, -1, 1).expand(3, batch, 1))
    h = model.model(input_ids=last, past_key_values=past, position_ids=pos, use_cache=True).last_hidden_state
    return torch.nn.functional.normalize(h[:, -1].float(), dim=-1)


run(1, 0)
for case in cases:
    best = float("inf")
    for _ in range(2 if case["newTokens"] == 0 and case["batch"] == 1 else 1):
        start = time.perf_counter(); run(case["batch"], case["newTokens"]); best = min(best, time.perf_counter() - start)
    print(json.dumps({"name": case["name"], "seconds": best, "itemsPerSecond": case["batch"] / best}), flush=True)
