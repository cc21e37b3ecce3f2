"""The runner of durable jobs: claim, work, settle. It knows the table by a protocol only."""

from talekeeper.jobs.handling import Assignment, Handler, Lane, Work
from talekeeper.jobs.runner import JobRunner, JobTable

__all__ = ["Assignment", "Handler", "JobRunner", "JobTable", "Lane", "Work"]
