"""The commented `gonogo.toml` that a new workspace begins with."""

from __future__ import annotations

TEMPLATE = """\
# gonogo: settings of this workspace. Every key has a default; lines starting with # are those.

title = {title}
roadmap = "ROADMAP.md"      # any Markdown with task lists
# auto_tick = true          # a passing check ticks its box (it never unticks one)
# user = ""                 # name in the records; empty: the login name
# theme = "dark"

[hosts.tower]               # trains: the machine with the GPU
role = "tower"
# ssh = "tower"             # an alias from ~/.ssh/config, or user@host
# port = 22
# user = ""
# identity_file = "~/.ssh/id_ed25519"
# known_hosts = "~/.ssh/known_hosts"
# local = true              # this machine itself, without SSH
# python = "python3"        # the interpreter that runs training jobs there
# backend = "process"       # or "docker"

[hosts.server]              # keeps MLflow
role = "server"
# ssh = "server"

[budget]
# total = 269               # planned
# limit = 300               # binding: the final check of the roadmap
# goal = 1000               # the older limit at the top of the roadmap
# warn_at = 0.8             # share of a row at which a warning appears
# currency = "USD"
# price_per_kwh = 0.30      # turns measured energy into a cost; unset: unknown

[gate]
# min_improvement = 10      # percent, strictly more
# alpha = 0.05              # p strictly less
# metrics = 10
# min_seeds = 3             # the strict gate
# primary = "functional_correctness"

[mlflow]
# host = "server"
# port = 5000
# local_port = 0            # of the tunnel; 0: one that this workspace keeps
# bind = "127.0.0.1"        # where `gonogo mlflow up` lets it listen
# allowed_hosts = []        # names of the server in other machines' requests
# store = "sqlite"          # or "postgresql" (with backend = "docker" on its host)
# image = "ghcr.io/mlflow/mlflow:v3.17.0"

[training]
# host = "tower"
# model = "meta-llama/Meta-Llama-3-8B"
# python = "python3"
# dataset = ""              # a JSONL file on the host
# tracking_uri = ""         # where the host reaches MLflow; empty: not used
# max_steps = 10
# image = "llama3-training" # with backend = "docker" on the host
# mounts = []               # more of its paths that a container sees: "/path" or "/path:rw"
# memory_gb = 24            # over it a run is out of memory; unset: no limit
# shm_gb = 1
# gpus = true
# vram_gb = 7               # free before a start
# disk_gb = 5

[notices]                   # when a run ends, fails, goes NaN or stands still
# bell = true
# desktop = "off"           # or osc9 (iTerm2 and most), osc777 (foot, rxvt), osc99 (kitty)
# stall_factor = 20         # no point for so many usual steps, and at least
# stall_seconds = 60

[public]                    # services that checks of the launch ask: no account, no secret
# enabled = true            # false: never asked, their boxes say so
# repository = ""           # owner/name of the project's own repository on GitHub

[keymap]                    # action id = "key"; `gonogo keys` lists the ids. For example
# "box.tick" = "space"
"""


def settings_text(title: str) -> str:
    """The commented `gonogo.toml` of a new workspace."""
    quoted = '"' + title.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return TEMPLATE.format(title=quoted)
