"""What transformers makes of models/nano: hidden states, rationales, and embeddings of a few items of Scenes.

  python make_nano_fixture.py QUERIES_JSONL OUT_DIR [--model models/nano]

QUERIES_JSONL is what `rge eval --queries` wrote; its first query of some datasets is taken. Writes OUT_DIR/cases.json (items, ids, rationales), OUT_DIR/cases.safetensors
(per case: hidden states of the whole sequence and the embedding) and the pictures. float32 on the CPU.
"""
import argparse, json, shutil
from pathlib import Path
import torch, transformers
from safetensors.torch import save_file
from PIL import Image
from transformers import AutoTokenizer, GenerationConfig, Qwen2_5_VLForConditionalGeneration
from make_fixtures import TRIPLE, encode, final_hidden, processor_for, types

QUERIES = ["Count", "TwoHop", "ThreeHop", "Change", "CaptionToImage", "Referring"]


def main():
    args = argparse.ArgumentParser()
    args.add_argument("queries", type=Path)
    args.add_argument("out", type=Path)
    args.add_argument("--model", type=Path, default=Path(__file__).parent.parent / "models/nano")
    args = args.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(args.model, dtype=torch.float32).eval()
    tok = AutoTokenizer.from_pretrained(args.model)
    settings = json.loads((args.model / "preprocessor_config.json").read_text())
    proc = processor_for("qwen2_5_vl", tok, settings["size"]["shortest_edge"], settings["size"]["longest_edge"])
    proc.image_mean, proc.image_std = settings["image_mean"], settings["image_std"]
    emb = tok.convert_tokens_to_ids("<emb>")
    ids = {"<emb>": emb}
    rows = [json.loads(line) for line in args.queries.read_text().splitlines()]
    cases, tensors = [], {}
    for name in QUERIES:
        row = next(row for row in rows if row["dataset"] == name)
        for role, side in [("query", row["query"]), ("target", row["right"])]:
            text, image = side["text"], side.get("image")
            case = {"name": f"{name}-{role}", "role": role, "text": text + "\n", "image": None}
            if image:
                case["image"] = f"{name}-{role}.png"
                shutil.copy(image, args.out / case["image"])
            images = [Image.open(args.out / case["image"]).convert("RGB")] if image else []
            _, inputs = encode(tok, proc, ids, case["text"].replace("<|image_1|>", TRIPLE), images)
            prompt = inputs["input_ids"][0].tolist()
            written = []
            if role == "query":
                with torch.no_grad():
                    out = model.generate(**types(model, inputs), generation_config=GenerationConfig(
                        max_new_tokens=64, do_sample=False, eos_token_id=emb, pad_token_id=0))
                written = out[0, len(prompt):].tolist()
                assert written[-1] == emb, f"{name}: no <emb> within 64 tokens"
                written = written[:-1]
            ids_all = torch.tensor([prompt + written + [emb]])
            hidden = final_hidden(model, {**inputs, "input_ids": ids_all, "attention_mask": torch.ones_like(ids_all)})[0]
            case.update(rationale=tok.decode(written), rationale_ids=written, prompt_tokens=len(prompt))
            tensors[f"{case['name']}/embedding"] = (hidden[-1] / hidden[-1].norm()).contiguous()
            tensors[f"{case['name']}/hidden"] = hidden[-1].contiguous()
            cases.append(case)
    made = {"torch": torch.__version__, "transformers": transformers.__version__}
    (args.out / "cases.json").write_text(json.dumps({"made_with": made, "cases": cases}, indent=1) + "\n")
    save_file(tensors, args.out / "cases.safetensors")


main()
