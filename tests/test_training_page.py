"""The page of training on many processes: the job that it shows is the one that is sent."""

from __future__ import annotations

import re
from pathlib import Path

from oceanx.workflows.submit import Job, script
from oceanx.workflows.train_config import preset

PAGE = Path(__file__).parents[1] / "docs/how_to/train_on_many_processes.md"


def test_the_job_on_the_page_is_what_a_dry_run_prints() -> None:
    shown = re.search(r"^```shell\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert shown is not None
    job = Job(nodes=2, gpus=4, time="24:00:00", partition="gpu", before=("module load cuda",))
    stores, batches = ["ocean.zarr", "atmosphere.zarr"], "batch_size=[32, 16]"
    config = preset("hybrid_small", batch_size=[32, 16])
    assert shown[1] == script(job, config, "hybrid_small", stores, Path("runs/hybrid"), [batches])
