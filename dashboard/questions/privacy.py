"""Questions about a learner's rights: export and erasure."""

from __future__ import annotations

from http import HTTPStatus

from dashboard.access.authenticator import require
from dashboard.privacy.streamed_document import StreamedDocument
from dashboard.questions.parameters import OneJob, OneLearner
from dashboard.questions.question import Answer, Inquiry, json_reply
from web.problems import Refusal


async def erase_learner(inquiry: Inquiry[OneLearner]) -> Answer:
    """Suppress further events of the learner and remove the stored data soon. Poll the job until it is done."""
    services = inquiry.services
    key = require(inquiry.caller, "privacy:admin")
    receipt = await services.privacy.erase(services.authenticator.pseudonyms(inquiry.parameters.user_id), key.source)
    return Answer(json_reply(receipt, HTTPStatus.ACCEPTED))


async def export_learner(inquiry: Inquiry[OneLearner]) -> Answer:
    """All stored data about the learner.

    The document is streamed. If reading fails midway, the connection is closed before the end of the document.
    """
    services = inquiry.services
    pieces = await services.privacy.export(services.authenticator.pseudonyms(inquiry.parameters.user_id))
    return Answer(StreamedDocument(pieces))


async def erasure_receipt(inquiry: Inquiry[OneJob]) -> Answer:
    """The state of an erasure, and its receipt once it is done."""
    receipt = await inquiry.services.privacy.receipt(inquiry.parameters.job_id)
    if receipt is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "no_such_job", "Unknown erasure job.")
    return Answer(json_reply(receipt))
