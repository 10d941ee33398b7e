"""The other side of bench/training.ts: the same steps through transformers and PyTorch, eager, float32 on the CPU.

  python bench/training_reference.py FOLDER WORK_JSON STEPS THREADS

Written as one would for speed without changing the model: queries and targets in a batch each, pictures of a batch in one
call of the tower, logits only where a token is predicted. Prints one JSON line, times as medians.
"""
import json, resource, statistics, sys, time
import numpy as np
import torch
from transformers import GenerationConfig, Qwen2_5_VLForConditionalGeneration
from transformers.utils import logging

logging.set_verbosity_error()
folder, work, steps, threads = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
model.train()
image_id = model.config.image_token_id
emb = json.load(open(f"{folder}/tokenizer.json"))["added_tokens"]
emb = next(token["id"] for token in emb if token["content"] == "<emb>")
pairs, n = work["pairs"], len(work["pairs"])
size = int(np.prod(work["grid"])) * 1176
index = np.arange(n * size, dtype=np.uint64)
pixels = (((index * 2654435761) & 0xFFFFFFFF) / 2**31 - 1).astype(np.float32).reshape(-1, 1176)
pixels, grid = torch.from_numpy(pixels), torch.tensor([work["grid"]] * n)


def batch(sequences):
    """Right-padded ids, mask, modalities."""
    length = max(map(len, sequences))
    ids = torch.tensor([s + [0] * (length - len(s)) for s in sequences])
    mask = torch.tensor([[1] * len(s) + [0] * (length - len(s)) for s in sequences])
    return dict(input_ids=ids, attention_mask=mask, mm_token_type_ids=(ids == image_id).long())


def states(sequences, images):
    return model.model(**batch(sequences), use_cache=False, **(dict(pixel_values=pixels, image_grid_thw=grid) if images else {})).last_hidden_state


def lm_loss(hidden):
    rows = torch.tensor([i for i, p in enumerate(pairs) for _ in p["oracle"] + [emb]])
    columns = torch.tensor([len(p["prompt"]) - 1 + t for p in pairs for t in range(len(p["oracle"]) + 1)])
    labels = torch.tensor([t for p in pairs for t in p["oracle"] + [emb]])
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[rows, columns]), labels)


def pooled(hidden, sequences):
    return torch.nn.functional.normalize(hidden[torch.arange(n), torch.tensor([len(s) - 1 for s in sequences])], dim=-1)


def generate():
    with torch.no_grad():
        config = GenerationConfig(max_new_tokens=work["maxNewTokens"], do_sample=False, eos_token_id=emb, pad_token_id=0, use_cache=True)
        prompts = [p["prompt"] for p in pairs]
        out = model.generate(**batch(prompts), pixel_values=pixels, image_grid_thw=grid, generation_config=config)
    # A random model also writes special tokens; as inputs they would ask for pictures that are not there.
    return [[t if t < 500 else 5 for t in row[len(p):].tolist() if t not in (emb, 0)] for row, p in zip(out, prompts)]


optimizer = torch.optim.AdamW(model.parameters(), lr=work["learningRate"], betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
totals, generations, losses, tokens = [], [], [], 0
for step in range(steps + 1):
    start = time.perf_counter()
    written = generate() if work["kind"] == "rge" else None
    generated = time.perf_counter()
    optimizer.zero_grad()
    oracle = [p["prompt"] + p["oracle"] + [emb] for p in pairs]
    targets = [p["target"] + [emb] for p in pairs]
    hidden = states(oracle, True)
    lm = lm_loss(hidden)
    if written is None:
        queries = pooled(hidden, oracle)
    else:
        own = [p["prompt"] + r + [emb] for p, r in zip(pairs, written)]
        queries = pooled(states(own, True), own)
    scores = queries @ pooled(states(targets, False), targets).T / work["temperature"]
    contrastive = torch.nn.functional.cross_entropy(scores, torch.arange(n))
    (lm + contrastive).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    end = time.perf_counter()
    losses.append([lm.item(), contrastive.item()])
    tokens = sum(map(len, oracle + targets))
    if step:
        totals.append(end - start); generations.append(generated - start)
print(json.dumps(dict(parameters=sum(p.numel() for p in model.parameters()), seconds=statistics.median(totals),
                      generateSeconds=statistics.median(generations), tokens=tokens, losses=losses,
                      peakBytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)))
