"""How often one account, or one address, may have a thing done.

A rate is asked about once a request, before the work. Its windows lie in Redis where there is one,
so that all processes count together, and else in memory.
"""

from talekeeper.limiting.limiter import Limiter, opened_limiter
from talekeeper.limiting.rates import Rate

__all__ = ["Limiter", "Rate", "opened_limiter"]
