"""Events of learning: sessions, views and completions of materials, searches."""

from __future__ import annotations

from pydantic import Field

from .property_types import Count, Identifier, Percentage, Points, Properties, Score, Seconds


class SessionStartProperties(Properties):
    material_id: Identifier | None = None
    material_type: Identifier | None = None
    platform: Identifier | None = None


class SessionEndProperties(Properties):
    duration_seconds: Seconds | None = None
    xp_earned: Points | None = Field(
        default=None, description="Describes the session; adds nothing to the learner's XP."
    )


class MaterialViewProperties(Properties):
    material_id: Identifier
    material_type: Identifier | None = None
    duration_seconds: Seconds | None = None
    progress_percentage: Percentage | None = None


class MaterialCompleteProperties(Properties):
    material_id: Identifier
    material_type: Identifier | None = None
    duration_seconds: Seconds | None = None
    score: Score | None = Field(
        default=None, description="In percent. May be below 0 or above 100 where points are added or taken away."
    )


class SearchQueryProperties(Properties):
    query_length: Count = Field(description="Characters of the query; never the text.")
    results_count: Count
