"""Copies the reference values of SRC (made by make_fixtures.py) into DST at a size fit for the repository.

  python scripts/trim_fixtures.py SRC DST

Only pixel_values change: (level / 255 - mean) / std is stored as the uint8 level itself, `<case>/pixel_levels [patches, columns]`,
after checking that the float value comes back to 1e-6. Qwen2-VL's pictures equal Qwen2.5-VL's and are left out.
"""
import json, shutil, sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file

src, dst = Path(sys.argv[1]), Path(sys.argv[2])
for family in ["qwen2_5_vl", "qwen2_vl", "qwen3_vl"]:
    conf = json.load(open(src / family / "checkpoint" / "preprocessor_config.json"))
    mean, std, patch = (torch.tensor(conf[k]) if k != "patch_size" else conf[k] for k in ("image_mean", "image_std", "patch_size"))
    per = 2 * patch * patch
    mean, std = mean.repeat_interleave(per), std.repeat_interleave(per)
    tensors = load_file(src / family / "cases.safetensors")
    out = {}
    for name, value in tensors.items():
        if not name.endswith("/pixel_values"):
            out[name] = value
            continue
        if family == "qwen2_vl":
            continue
        levels = ((value * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
        worst = ((levels.float() / 255 - mean) / std - value).abs().max().item()
        assert worst < 1e-6, (family, name, worst)
        out[name.replace("pixel_values", "pixel_levels")] = levels
    (dst / family).mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in out.items()}, dst / family / "cases.safetensors")
