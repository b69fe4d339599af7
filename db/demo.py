"""Demo data: a few hundred sessions in two workspaces, the same at every run.

The first workspace begins with the session that the contract documents, field for field.
"""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from db.engine import Database
from db.imports import DocumentReader, ImportResult, import_documents
from db.schema import migrate
from openapi import timestamps
from openapi.json import encode

FIRST_WORKSPACE = "507f191e810c19729de860ea"
SECOND_WORKSPACE = "507f191e810c19729de860eb"

DOCUMENTED_SESSION: dict[str, Any] = {
    "id": "507f1f77bcf86cd799439011",
    "workspaceId": FIRST_WORKSPACE,
    "clientId": "507f1f77bcf86cd799439012",
    "clientName": "John Doe",
    "serviceIds": ["507f1f77bcf86cd799439013", "507f1f77bcf86cd799439014"],
    "serviceNames": ["استشارة طبية", "فحص عام"],
    "staffId": "507f1f77bcf86cd799439015",
    "staffName": "Dr. Smith",
    "name": "Consultation Session",
    "date": "2024-01-20T00:00:00.000Z",
    "startTime": "10:00",
    "endTime": "11:30",
    "durationMinutes": 90,
    "status": "scheduled",
    "fieldValues": [],
    "attachments": [],
    "notes": [],
    "invoice": None,
    "createdAt": "2024-01-15T10:00:00.000Z",
    "updatedAt": "2024-01-15T10:00:00.000Z",
}

_CLIENTS = (
    "John Doe", "سارة الأحمد", "Emma Wilson", "محمد الهاشمي", "Liam O'Connor", "ليلى حداد", "Sofía Martínez", "يوسف النجار",
    "Noah Becker", "فاطمة الزهراء", "Grace Kim", "عمر القاسم", "Zoë Lambert", "هدى منصور", "Ivan Petrov", "نور الدين",
)  # fmt: skip
_STAFF = ("Dr. Smith", "د. أحمد خليل", "Dr. Jones", "د. مريم سالم")
_SERVICES = ("استشارة طبية", "فحص عام", "Physiotherapy", "علاج طبيعي", "Dental check-up", "Follow-up")
_NAMES = ("Consultation Session", "جلسة متابعة", "Initial assessment", "جلسة علاجية")
_STATUSES = ("scheduled", "in-progress", "completed", "cancelled")
_DAY = 86_400_000
_FIRST_DAY = timestamps.parse("2024-01-22").first


def documents() -> Iterator[dict[str, Any]]:
    """The documents of both workspaces, in the shape of the contract."""
    yield DOCUMENTED_SESSION
    yield from (_document(FIRST_WORKSPACE, number) for number in range(1, 240))
    yield from (_document(SECOND_WORKSPACE, number) for number in range(240, 360))


async def prepare(database: Database, schemas: Mapping[str, Any]) -> ImportResult:
    """Bring a database up to date and import the demo data, by the way that any data comes in.

    `schemas` are the named schemas of the contract.
    """
    await migrate(database)
    lines = BytesIO(b"\n".join(map(encode, documents())))
    return await import_documents(database, DocumentReader(schemas).read(lines, "demo data"))


def _document(workspace_id: str, number: int) -> dict[str, Any]:
    # Steps that share no factor with the lengths give a mix that looks natural and is the same each time.
    client, staff, service = number * 7 % len(_CLIENTS), number * 3 % len(_STAFF), number * 5 % len(_SERVICES)
    services = [service, (service + 1) % len(_SERVICES)] if number % 3 == 0 else [service]
    hour, minutes = 8 + number % 9, (30, 45, 60, 90)[number % 4]
    end = hour * 60 + minutes
    status = _STATUSES[number * 11 % 7 % len(_STATUSES)]
    created = _FIRST_DAY + number * _DAY // 2 - 9 * _DAY + number * 61_007
    return {
        "id": _id(0x10, number),
        "workspaceId": workspace_id,
        "clientId": DOCUMENTED_SESSION["clientId"] if client == 0 else _id(0x20, client),
        "clientName": _CLIENTS[client],
        "serviceIds": [DOCUMENTED_SESSION["serviceIds"][each] if each < 2 else _id(0x30, each) for each in services],
        "serviceNames": [_SERVICES[each] for each in services],
        "staffId": DOCUMENTED_SESSION["staffId"] if staff == 0 else _id(0x40, staff),
        "staffName": _STAFF[staff],
        "name": _NAMES[number % len(_NAMES)],
        "date": timestamps.write(_FIRST_DAY + number // 3 * _DAY),
        "startTime": f"{hour:02}:00",
        "endTime": f"{end // 60:02}:{end % 60:02}",
        "durationMinutes": minutes,
        "status": status,
        "fieldValues": [{"fieldId": _id(0x50, 1), "label": "سبب الزيارة", "value": "ألم في الظهر"}]
        if number % 5 == 0
        else [],
        "attachments": [{"name": "X-ray.pdf", "sizeBytes": 48_213 + number}] if number % 11 == 0 else [],
        "notes": [{"text": "Prefers mornings ☀️", "author": _STAFF[staff]}] if number % 4 == 0 else [],
        "invoice": {"number": f"INV-{number:05}", "total": 120.5, "currency": "SAR"} if status == "completed" else None,
        "createdAt": timestamps.write(created),
        "updatedAt": timestamps.write(created + number % 4 * 3_600_000),
    }


def _id(kind: int, number: int) -> str:
    """24 hexadecimal digits, like the ids that such data brings along."""
    return f"65a0{kind:04x}{number:016x}"
