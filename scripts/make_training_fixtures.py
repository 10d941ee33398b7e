"""More reference gradients for training, from PyTorch and PEFT, on the batch of training.json.

  python scripts/make_training_fixtures.py FIXTURES OUT

FIXTURES is the folder that make_fixtures.py wrote; OUT gets training_variants.json and training_variants.safetensors:
`accumulated/`: the gradient of two batches of two pairs, LM mean over the tokens of both, InfoNCE mean over the batches;
`lora/`: gradients of the factors of FIXTURES/qwen2_5_vl/lora, whole batch; `qwen2_vl/` and `qwen3_vl/`: those families'
gradients, whole batch. The first holds the tensors that KEPT matches, the last two those that FEW matches.
"""
import json, re, sys
from pathlib import Path
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import (PreTrainedTokenizerFast, Qwen2_5_VLForConditionalGeneration, Qwen2VLForConditionalGeneration,
                          Qwen3VLForConditionalGeneration)
import make_fixtures as mf

KEPT = re.compile(r"embed_tokens|layers\.1\..*(norm|q_proj|k_proj\.bias|down_proj)|language_model\.norm|blocks\.2\..*(qkv|down_proj|norm1)|patch_embed|merger")
FEW = re.compile(r"layers\.1\..*(q_proj|q_norm)|language_model\.norm|blocks\.2\..*(qkv|norm1)|pos_embed|merger.*(norm|bias|ln_q)")
source, out = Path(sys.argv[1]), Path(sys.argv[2])
folder = source / "qwen2_5_vl"
spec = json.load(open(source / "cases.json"))
pairs = [{**p, "_dir": source} for p in spec["pairs"]]
tok = PreTrainedTokenizerFast.from_pretrained(folder / "checkpoint")
ids = {s: tok.convert_tokens_to_ids(s) for s in mf.SPECIALS}
proc = mf.processor_for("qwen2_5_vl", tok, 3136, 50176)
TAU = 0.02


def load():
    return Qwen2_5_VLForConditionalGeneration.from_pretrained(folder / "checkpoint", dtype=torch.float32).train()


def states(model, inputs):
    return model.model(**mf.types(model, inputs), use_cache=False).last_hidden_state[0]


def terms(model, chosen):
    """Sum and count of the LM term, InfoNCE of the pairs."""
    lm, count, qs, ts = 0.0, 0, [], []
    for p in chosen:
        images = [mf.Image.open(p["_dir"] / f).convert("RGB") for f in p["images"]]
        n = mf.encode(tok, proc, ids, p["query"], images)[1]["input_ids"].shape[1]
        _, o = mf.encode(tok, proc, ids, p["query"], images, p["oracle_rationale"] + "<emb>")
        logits = model.lm_head(states(model, o))
        lm = lm + torch.nn.functional.cross_entropy(logits[n - 1:-1], o["input_ids"][0, n:], reduction="sum")
        count += o["input_ids"].shape[1] - n
        qs.append(states(model, mf.encode(tok, proc, ids, p["query"], images, p["self_rationale"] + "<emb>")[1])[-1])
        ts.append(states(model, mf.encode(tok, proc, ids, p["target"], [], "<emb>")[1])[-1])
    return lm, count, mf.infonce(torch.stack(qs), torch.stack(ts), TAU)


facts, tensors = {}, {}
model = load()
halves = [terms(model, pairs[:2]), terms(model, pairs[2:])]
tokens = sum(count for _, count, _ in halves)
loss = sum(lm for lm, _, _ in halves) / tokens + sum(con for _, _, con in halves) / 2
loss.backward()
grads = {n: p.grad for n, p in model.named_parameters()}
facts["accumulated"] = dict(lm=[(lm / count).item() for lm, count, _ in halves], contrastive=[con.item() for _, _, con in halves],
                            grad_norm=torch.cat([g.flatten() for g in grads.values()]).norm().item())
tensors.update({f"accumulated/{n}": g for n, g in grads.items() if KEPT.search(n)})

model = PeftModel.from_pretrained(load(), folder / "lora", is_trainable=True).train()
base = model.get_base_model()
lm, count, con = terms(base, pairs)
(lm / count + con).backward()
grads = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
facts["lora"] = dict(lm=(lm / count).item(), contrastive=con.item(), grad_norm=torch.cat([g.flatten() for g in grads.values()]).norm().item())
tensors.update({"lora/" + n.removeprefix("base_model.model.").replace(".default", ""): g for n, g in grads.items()})
for family, cls in (("qwen2_vl", Qwen2VLForConditionalGeneration), ("qwen3_vl", Qwen3VLForConditionalGeneration)):
    proc = mf.processor_for(family, tok, 3136, 50176)
    model = cls.from_pretrained(source / family / "checkpoint", dtype=torch.float32).train()
    lm, count, con = terms(model, pairs)
    (lm / count + con).backward()
    grads = {n: p.grad for n, p in model.named_parameters()}
    facts[family] = dict(lm=(lm / count).item(), contrastive=con.item(), grad_norm=torch.cat([g.flatten() for g in grads.values()]).norm().item())
    tensors.update({f"{family}/{n}": g for n, g in grads.items() if FEW.search(n)})

json.dump(facts, open(out / "training_variants.json", "w"), indent=1)
save_file({n: t.contiguous() for n, t in tensors.items()}, out / "training_variants.safetensors")
