"""`analytics demo`: synthetic traffic, for a first look, for tests and for measurements."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched as _batched
from pathlib import Path
from typing import IO, Annotated

import typer
