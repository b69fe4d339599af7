"""The one place that tunes Python's garbage collector."""

import gc


def tune_garbage_collector() -> None:
    """Leave everything that exists by now out of later collections, and make these rarer.

    Otherwise the collector would go through the contract and the libraries again and again. Requests and imports leave few
    reference cycles behind; everything else is freed without the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
