"""The review: the domains that need a decision one by one, and what was decided of each.

`model` knows where a review stands and what an entry would reach, `text` says it; the terminal is `cli`'s.
"""

from __future__ import annotations

from postgrey_exporter.review.model import ClientAttempts, Decision, Item, Reach, Review, items, reach, uncovered

__all__ = ["ClientAttempts", "Decision", "Item", "Reach", "Review", "items", "reach", "uncovered"]
