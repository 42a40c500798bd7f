"""Jobs on a Ray cluster: this machine's processors, or the machines of an address.

Ray places the jobs, starts a job again when its worker dies, and keeps workers, so that each loads
the weights once. https://docs.ray.io
"""

import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

from interaction.errors import UserError
from interaction.models import read_model_list
from interaction.tracking.jobs import Job, JobResult

_RETRIES: Final = 3  # of a job whose worker died
_MEMORY_BYTES: Final = 2 * 2**30  # of a job whose model's need is not known


def run_on_cluster(
    jobs: list[Job],
    work: Callable[..., JobResult],
    arguments: tuple[object, ...],
    *,
    address: str | None,
    cpus_per_job: int,
    model: str,
    uses_gpu: bool,
) -> Generator[JobResult, None, None]:
    """The result of each job as it ends: `work(*arguments, job)`, a function that every machine can
    import.

    address: None starts a Ray of its own on this machine, and ends it. model: whose memory a job
    needs. Closing the generator cancels what has not ended. UserError without Ray, or if no cluster
    answers.
    """
    try:
        import ray
    except ImportError:
        raise UserError(
            "Ray is not installed. Nothing was done.\n\nInstall it with:  "
            'pip install "xmem-annotate[cluster]"'
        ) from None
    # Workers are as important as this program; by default Ray makes them wait for all others.
    os.environ.setdefault("RAY_worker_niceness", "0")
    try:
        ray.init(
            address=address, include_dashboard=False, log_to_driver=False, logging_level="error"
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UserError(
            "No Ray cluster answers at {address}: {reason}",
            address=address or "this machine",
            reason=error,
        ) from None
    try:
        has_gpu = uses_gpu and ray.cluster_resources().get("GPU", 0) > 0
        remote: Any = ray.remote(work).options(
            num_cpus=cpus_per_job,
            num_gpus=1 if has_gpu else 0,
            memory=_needed_bytes(model),
            max_retries=_RETRIES,
        )
        running = {remote.remote(*arguments, job): job for job in jobs}
        while running:
            [first], _ = ray.wait(list(running))
            job = running.pop(first)
            try:
                yield ray.get(first)
            except ray.exceptions.RayError as error:
                reason = f"its worker died {_RETRIES + 1} times: {str(error).splitlines()[0]}"
                yield JobResult(job.name, job.output, "failed", error=reason)
    finally:
        ray.shutdown()


def _needed_bytes(model: str) -> int:
    """What a job holds at its peak, as measured for the model."""
    known = {one.name.casefold(): one.needs for one in read_model_list()}
    needs = known.get(Path(model).stem.casefold())
    return _MEMORY_BYTES if needs is None else needs.cpu_memory_bytes
