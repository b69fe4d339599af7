"""Session documents like those of a practice, the same at every run.

`python -m bench.data --sessions 1000` writes one workspace as NDJSON, which `sessions-api import` reads.
"""

import argparse
import random
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson

FIRST_DAY = date(2015, 1, 5)  # a Monday
YEARS = 10
SESSIONS_PER_CLIENT = 20

_GIVEN = (
    "سارة", "محمد", "ليلى", "يوسف", "فاطمة", "عمر", "هدى", "نور",
    "Emma", "Liam", "Sofía", "Noah", "Grace", "Zoë", "Ivan", "Amal",
)  # fmt: skip
_FAMILY = (
    "الأحمد", "الهاشمي", "حداد", "النجار", "الزهراء", "القاسم", "منصور",
    "Wilson", "O'Connor", "Martínez", "Becker", "Kim", "Lambert",
)  # fmt: skip
_STAFF = (
    "Dr. Smith", "د. أحمد خليل", "Dr. Jones", "د. مريم سالم", "Dr. Novak", "د. خالد يوسف", "Dr. Okafor", "د. ريم ناصر",
    "Nurse Haddad", "أ. سلمى درويش", "Dr. Lindqvist", "د. طارق عبود",
)  # fmt: skip
_SERVICES = (
    "استشارة طبية", "فحص عام", "Physiotherapy", "علاج طبيعي", "Dental check-up", "Follow-up", "تحليل دم",
    "X-ray", "تنظيف الأسنان", "Vaccination", "تخطيط القلب", "Nutrition advice", "علاج نفسي", "Speech therapy",
    "فحص النظر", "Hearing test", "تدليك علاجي", "Wound care", "متابعة الحمل", "Home visit",
)  # fmt: skip
_NAMES = ("Consultation Session", "جلسة متابعة", "Initial assessment", "جلسة علاجية", "Check-up", "زيارة أولى")
_STATUSES = ("completed", "scheduled", "cancelled", "in-progress")
_STATUS_WEIGHTS = (78, 13, 7, 2)
_REASONS = ("ألم في الظهر", "Headache for two weeks", "متابعة بعد العملية", "Annual check-up", "حساسية موسمية")
_NOTES = (
    "Prefers mornings ☀️",
    "يفضل المواعيد المسائية",
    "Asked to be called a day before. Allergic to penicillin; see the letter of the family doctor.",
    "تم تأجيل الموعد بناءً على طلب العميل، ويرجى الاتصال به قبل الموعد القادم بيوم واحد.",
)


def documents(workspace_id: str, number: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """The sessions of one workspace, in the shape of the contract."""
    chance = random.Random(f"{workspace_id} {number} {seed}")  # noqa: S311 - data, not a secret
    clients = [
        (_id(chance), f"{chance.choice(_GIVEN)} {chance.choice(_FAMILY)}") for _ in range(number // SESSIONS_PER_CLIENT + 1)
    ]
    staff = [(_id(chance), name) for name in _STAFF]
    services = [(_id(chance), name) for name in _SERVICES]
    field_id = _id(chance)
    for _ in range(number):
        client_id, client_name = chance.choice(clients)
        staff_id, staff_name = chance.choice(staff)
        booked = chance.sample(services, chance.choices((1, 2, 3), (60, 30, 10))[0])
        weeks, weekday = chance.randrange(YEARS * 52), chance.randrange(5)
        day = datetime.combine(FIRST_DAY + timedelta(weeks=weeks, days=weekday), datetime.min.time(), UTC)
        start, minutes = chance.randrange(8 * 60, 18 * 60, 15), chance.choice((30, 45, 60, 90))
        created = day - timedelta(days=chance.randrange(1, 60), milliseconds=chance.randrange(86_400_000))
        status = chance.choices(_STATUSES, _STATUS_WEIGHTS)[0]
        fields = [{"fieldId": field_id, "label": "سبب الزيارة", "value": chance.choice(_REASONS)}]
        files = [{"name": "X-ray.pdf", "sizeBytes": chance.randrange(10_000, 900_000)}]
        notes = [{"text": chance.choice(_NOTES), "author": staff_name}]
        total = chance.randrange(160, 1800) / 2
        invoice = {"number": f"INV-{chance.randrange(1_000_000):06}", "total": total, "currency": "SAR"}
        yield {
            "id": _id(chance),
            "workspaceId": workspace_id,
            "clientId": client_id,
            "clientName": client_name,
            "serviceIds": [id_ for id_, _ in booked],
            "serviceNames": [name for _, name in booked],
            "staffId": staff_id,
            "staffName": staff_name,
            "name": chance.choice(_NAMES),
            "date": _moment(day),
            "startTime": _time(start),
            "endTime": _time(start + minutes),
            "durationMinutes": minutes,
            "status": status,
            "fieldValues": fields if chance.random() < 0.3 else [],
            "attachments": files if chance.random() < 0.05 else [],
            "notes": notes if chance.random() < 0.25 else [],
            "invoice": invoice if status == "completed" else None,
            "createdAt": _moment(created),
            "updatedAt": _moment(created + timedelta(minutes=chance.randrange(1, 1440))),
        }


def _id(chance: random.Random) -> str:
    return f"{chance.getrandbits(96):024x}"


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def main() -> None:
    """Write the documents to standard output."""
    parser = argparse.ArgumentParser(prog="python -m bench.data", description="Write session documents as NDJSON.")
    parser.add_argument("--sessions", type=int, required=True, metavar="N", help="how many")
    parser.add_argument("--workspace", default="507f191e810c19729de860ea", metavar="ID", help="of which workspace")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other documents")
    arguments = parser.parse_args()
    for document in documents(arguments.workspace, arguments.sessions, arguments.seed):
        sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
