"""The learner's rights over HTTP: see everything, have it removed. For keys with the scope privacy:admin."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from dashboard.audit_trail import AuditedRoute
from dashboard.callers import require
from dashboard.problems import described
from dashboard.routes import SECURITY, AnyCaller, SomeServices
from dashboard.streamed_document import StreamedDocument
from schemas.envelope_fields import AskedUserId
from schemas.privacy import ErasureReceipt, LearnerExport
from web.problems import Refusal

router = APIRouter(
    prefix="/api/analytics/privacy",
    responses=described(),
    dependencies=SECURITY,
    tags=["privacy"],
    route_class=AuditedRoute,
)

_User = Annotated[AskedUserId, Path(description="The learner's id, as services send it; percent-encoded.")]


@router.delete("/users/{user_id}", status_code=HTTPStatus.ACCEPTED, operation_id="erase_learner")
async def erase_learner(caller: AnyCaller, services: SomeServices, user_id: _User) -> ErasureReceipt:
    """Keep the learner's events out from now on, and remove what is held, soon: ask for the job until it is done."""
    key = require(caller, "privacy:admin")
    return await services.desk.erase(services.gate.pseudonyms(user_id), key.source)


@router.get("/users/{user_id}/export", operation_id="export_learner", response_model=LearnerExport)
async def export_learner(caller: AnyCaller, services: SomeServices, user_id: _User) -> Response:
    """Everything that is held on the learner.

    It is sent as it is read. When that fails midway, the connection ends without the end of the document.
    """
    require(caller, "privacy:admin")
    return StreamedDocument(await services.desk.export(services.gate.pseudonyms(user_id)))


@router.get("/jobs/{job_id}", operation_id="erasure_receipt", responses={404: {"description": "No such job."}})
async def erasure_receipt(caller: AnyCaller, services: SomeServices, job_id: UUID) -> ErasureReceipt:
    """How far an erasure is; its receipt once it is done."""
    require(caller, "privacy:admin")
    receipt = await services.desk.receipt(job_id)
    if receipt is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "no_such_job", "There is no erasure with this id.")
    return receipt
