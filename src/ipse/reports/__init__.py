"""The report of a run: one HTML file to look at, with everything inside it."""

from __future__ import annotations

from ipse.reports.masked import Masked
from ipse.reports.page import Measure, Report, Table, write
from ipse.reports.portraits import Portraits, portray
from ipse.reports.verdicts import Verdicts

__all__ = ["Masked", "Measure", "Portraits", "Report", "Table", "Verdicts", "portray", "write"]
