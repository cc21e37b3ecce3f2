"""What is measured for Prometheus: counters and histograms. `metrics.py` makes them when first needed."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from talekeeper.generation.running import Ended
from talekeeper.keeper import Keeper

_FIRST_TOKEN = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
_DURATION = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900)


class Measures:
    """What one server measures. Each application has its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ended = Counter(
            "talekeeper_generations",
            "Generations that ended, by how.",
            ("provider", "ending"),
            registry=self.registry,
        )
        self._tokens = Counter(
            "talekeeper_output_tokens",
            "Tokens that models wrote, as they count them.",
            ("provider",),
            registry=self.registry,
        )
        self._first_token = Histogram(
            "talekeeper_first_token_seconds",
            "From the send's commit to the reply's first words.",
            ("provider",),
            buckets=_FIRST_TOKEN,
            registry=self.registry,
        )
        self._duration = Histogram(
            "talekeeper_generation_seconds",
            "From the send's commit to the reply's last write.",
            ("provider",),
            buckets=_DURATION,
            registry=self.registry,
        )

    def observe(self, ended: Ended) -> None:
        """A generation ended."""
        self._ended.labels(ended.provider, ended.ending).inc()
        self._duration.labels(ended.provider).observe(ended.seconds)
        if ended.first_token_seconds is not None:
            self._first_token.labels(ended.provider).observe(ended.first_token_seconds)
        if ended.output_tokens:
            self._tokens.labels(ended.provider).inc(ended.output_tokens)

    def watch(self, keeper: Keeper) -> None:
        """What the keeper counts by itself is read whenever somebody asks."""
        self.registry.register(_OfKeeper(keeper))

    def shown(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class _OfKeeper(Collector):
    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def collect(self) -> Iterator[Metric]:
        counts = self._keeper.store.counts
        yield CounterMetricFamily(
            "talekeeper_commits", "Transactions committed.", value=counts.commits
        )
        yield CounterMetricFamily(
            "talekeeper_units", "Units of work in them: many share a commit.", value=counts.units
        )
        yield GaugeMetricFamily(
            "talekeeper_waiting_writes", "Units that wait for a commit.", value=counts.waiting
        )
        yield GaugeMetricFamily(
            "talekeeper_running_generations",
            "Replies that grow now.",
            value=self._keeper.generations.running,
        )
        yield GaugeMetricFamily(
            "talekeeper_followers", "Open event streams.", value=self._keeper.hub.followers
        )
