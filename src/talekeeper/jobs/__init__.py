"""The runner of durable jobs: claim, do, settle. It knows the table by a protocol only."""

from talekeeper.jobs.runner import JobRunner, JobTable, Work

__all__ = ["JobRunner", "JobTable", "Work"]
