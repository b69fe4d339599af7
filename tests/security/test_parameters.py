"""Abuse of the path and the query, on both engines: what each request means, or which parameter it is refused for."""

from typing import Any

import httpx

from db.demo import DOCUMENTED_SESSION
from tests.conftest import WORKSPACE
from tests.response_bodies import require_valid_body

PATH = f"/v1/workspace/{WORKSPACE}/sessions"
CLIENT, STAFF = DOCUMENTED_SESSION["clientId"], DOCUMENTED_SESSION["staffId"]
FIRST_SERVICE, SECOND_SERVICE = DOCUMENTED_SESSION["serviceIds"]


def get(client: httpx.Client, target: str) -> httpx.Response:
    """Ask for a target exactly as it is written."""
    return client.get(httpx.URL("http://tests", raw_path=target.encode("ascii")))


REFUSED: dict[str, str] = {
    # Names: unknown, misspelt, in the forms that frameworks understand and guess
    "clientID=a": "clientID",
    "CLIENTID=a": "CLIENTID",
    "client_id=a": "client_id",
    "client-id=a": "client-id",
    "client.id=a": "client.id",
    " clientId=a": " clientId",
    "+clientId=a": " clientId",
    "clientId+=a": "clientId ",
    "clientId%00=a": "clientId\0",
    "clientId%00.x=a": "clientId\0.x",
    "clientId%20=a": "clientId ",
    "clientId%0d%0aX-Injected:1=a": "clientId\r\nX-Injected:1",
    "clientId%3Da": "clientId=a",
    "%63lient%49d%5B%5D=a": "clientId[]",
    "clientId[]=a": "clientId[]",
    "clientId[0]=a": "clientId[0]",
    "clientId[$ne]=a": "clientId[$ne]",
    "clientId[%24gt]=": "clientId[$gt]",
    "clientId[a][b]=c": "clientId[a][b]",
    "clientId.$ne=a": "clientId.$ne",
    "serviceIds[]=a": "serviceIds[]",
    "serviceIds[]=a&serviceIds[]=b": "serviceIds[]",
    "serviceIds[0]=a": "serviceIds[0]",
    "serviceIds%5B0%5D=a": "serviceIds[0]",
    "serviceIds.0=a": "serviceIds.0",
    "serviceIds*=a": "serviceIds*",
    "status!=completed": "status!",
    "status%21=completed": "status!",
    "limit<5": "limit<5",
    "dateFrom>=2024-01-01": "dateFrom>",
    "workspaceId=w2": "workspaceId",
    "workspace_id=w2": "workspace_id",
    "workspaceId[]=w2": "workspaceId[]",
    "access_token=a": "access_token",
    "_method=DELETE": "_method",
    "callback=alert": "callback",
    "debug=true": "debug",
    "fields=*": "fields",
    "offset=1": "offset",
    "page=1": "page",
    "where=1": "where",
    "__proto__=a": "__proto__",
    "__proto__[x]=a": "__proto__[x]",
    "constructor.prototype.x=a": "constructor.prototype.x",
    "__class__=a": "__class__",
    "=a": "",
    "=": "",
    "==": "",
    "%00": "\0",
    "%FF=a": "%FF",
    "%ED%A0%80=a": "%ED%A0%80",
    "%C3%A9=a": "é",
    "%EF%BD%83lientId=a": "ｃlientId",  # a full-width letter
    "client%D0%86d=a": "clientІd",  # a Cyrillic letter
    "client%E2%80%8BId=a": "client\u200bId",  # a space without width
    "%F0%9F%92%A9=a": "💩",
    "?clientId=a": "?clientId",
    # Separators that are none
    "clientId=a;status=completed": "clientId",
    f"clientId={CLIENT};": "clientId",
    "status=completed;limit=1": "status",
    "clientId=a%26status=completed": "clientId",
    f"clientId={CLIENT}%3Bstatus%3Dcompleted": "clientId",
    f"clientId={CLIENT}?status=completed": "clientId",
    f"clientId={CLIENT}/status/completed": "clientId",
    # Repetition
    f"clientId={CLIENT}&clientId={CLIENT}": "clientId",
    f"clientId={CLIENT}&clientId=": "clientId",
    f"clientId=&clientId={CLIENT}": "clientId",
    f"clientId={CLIENT}&client%49d=b": "clientId",
    "status=completed&status=scheduled": "status",
    "limit=1&limit=1000": "limit",
    "sort=date&sort=date": "sort",
    "dateFrom=2024-01-01&dateFrom=2024-01-01": "dateFrom",
    "cursor=a&cursor=b": "cursor",
    # Ids: empty, blank, too long, with anything but the characters of an id
    "clientId=": "clientId",
    "clientId": "clientId",
    "clientId=%20": "clientId",
    f"clientId=+{CLIENT}": "clientId",
    f"clientId={CLIENT}+": "clientId",
    f"clientId={CLIENT}%20": "clientId",
    f"clientId=%09{CLIENT}": "clientId",
    f"clientId={CLIENT}%0A": "clientId",
    f"clientId={CLIENT}%0D%0A": "clientId",
    f"clientId={CLIENT}%00": "clientId",
    f"clientId=%00{CLIENT}": "clientId",
    f"clientId={CLIENT}%00x": "clientId",
    f"clientId={CLIENT}%E2%80%A8": "clientId",
    f"clientId=%EF%BB%BF{CLIENT}": "clientId",
    f"clientId={CLIENT}%E2%80%8B": "clientId",
    f"clientId={CLIENT},{CLIENT}": "clientId",
    f"clientId=%22{CLIENT}%22": "clientId",
    f"clientId='{CLIENT}'": "clientId",
    f"clientId=%5B%22{CLIENT}%22%5D": "clientId",
    "clientId=%7B%22$ne%22:null%7D": "clientId",
    "clientId=*": "clientId",
    "clientId=%25": "clientId",
    "clientId=%": "clientId",
    "clientId=%2": "clientId",
    "clientId=%GG": "clientId",
    "clientId=%u0061": "clientId",
    "clientId=%2561": "clientId",  # encoded twice
    "clientId=%26%2361;": "clientId",
    "clientId=\\u0061": "clientId",
    "clientId=%EF%BC%95%EF%BC%90": "clientId",  # full-width digits
    "clientId=%D9%A5%D9%A0": "clientId",  # Arabic digits
    "clientId=%F0%9D%9F%93": "clientId",  # mathematical digits
    "clientId=%C2%B2": "clientId",  # superscript two
    "clientId=%D0%B0": "clientId",  # a Cyrillic a
    "clientId=e%CC%81": "clientId",  # a letter and its accent
    "clientId=%C3%A9": "clientId",
    "clientId=%FF": "clientId",
    "clientId=%C0%AF": "clientId",  # overlong forms of UTF-8
    "clientId=%C1%A1": "clientId",
    "clientId=%E0%80%AF": "clientId",
    "clientId=%E0%81%A1": "clientId",
    "clientId=%F0%80%80%AF": "clientId",
    "clientId=%F8%80%80%80%AF": "clientId",
    "clientId=%FC%80%80%80%80%AF": "clientId",
    "clientId=%ED%A0%80": "clientId",  # halves of characters
    "clientId=%ED%BF%BF": "clientId",
    "clientId=%ED%A0%BD%ED%B2%A9": "clientId",
    "clientId=%F4%90%80%80": "clientId",  # beyond the last character
    "clientId=%E2%82": "clientId",  # cut off
    "clientId=a%80": "clientId",
    "clientId=%FE%FF%00a": "clientId",
    "clientId=+ADw-": "clientId",  # UTF-7
    "clientId=" + "a" * 65: "clientId",
    "clientId=" + "a" * 8_000: "clientId",
    "clientId=" + "%61" * 65: "clientId",
    "clientId=..": "clientId",
    "clientId=../../../../etc/passwd": "clientId",
    "clientId=%2e%2e%2f%2e%2e%2fetc%2fpasswd": "clientId",
    "clientId=..%5c..%5cwindows%5cwin.ini": "clientId",
    "clientId=file:///etc/passwd": "clientId",
    "clientId=http://127.0.0.1/": "clientId",
    "clientId='--": "clientId",
    "clientId=%27%20OR%20%271%27=%271": "clientId",
    "clientId=1)%20UNION%20SELECT%20*%20FROM%20sessions--": "clientId",
    "clientId=1;DROP%20TABLE%20sessions": "clientId",
    "clientId=(select%20pg_sleep(5))": "clientId",
    "clientId=$(sleep%205)": "clientId",
    "clientId=%60id%60": "clientId",
    "clientId=%7B%7B7*7%7D%7D": "clientId",
    "clientId=$%7Bjndi:ldap://127.0.0.1/a%7D": "clientId",
    "clientId=%3Cscript%3Ealert(1)%3C/script%3E": "clientId",
    "clientId=%3C!DOCTYPE%20x%3E": "clientId",
    "staffId=": "staffId",
    "staffId=%00": "staffId",
    "staffId=a%20b": "staffId",
    "staffId=" + "9" * 400: "staffId",
    # Lists
    "serviceIds=": "serviceIds",
    "serviceIds": "serviceIds",
    "serviceIds=,": "serviceIds",
    f"serviceIds={FIRST_SERVICE},": "serviceIds",
    f"serviceIds=,{FIRST_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE},,{SECOND_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE},%20{SECOND_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE}%20{SECOND_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE}+{SECOND_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE}|{SECOND_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE};{SECOND_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE}%09{SECOND_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE}&serviceIds=": "serviceIds",
    f"serviceIds=[{FIRST_SERVICE}]": "serviceIds",
    f"serviceIds=%22{FIRST_SERVICE}%22": "serviceIds",
    f"serviceIds={FIRST_SERVICE}%252C{SECOND_SERVICE}": "serviceIds",
    f"serviceIds={FIRST_SERVICE}%EF%BC%8C{SECOND_SERVICE}": "serviceIds",  # a full-width comma
    f"serviceIds={FIRST_SERVICE}%D8%8C{SECOND_SERVICE}": "serviceIds",  # an Arabic comma
    f"serviceIds={FIRST_SERVICE}%00": "serviceIds",
    f"serviceIds={FIRST_SERVICE},%FF": "serviceIds",
    "serviceIds=a&" * 101: "serviceIds",
    "serviceIds=" + "a," * 100 + "a": "serviceIds",
    "serviceIds=" + "," * 5_000: "serviceIds",
    # Words of a list
    "status=": "status",
    "status=Scheduled": "status",
    "status=SCHEDULED": "status",
    "status=%20scheduled": "status",
    "status=scheduled%00": "status",
    "status=scheduled%0A": "status",
    "status=in_progress": "status",
    "status=in+progress": "status",
    "status=in%E2%80%91progress": "status",  # a hyphen that does not break
    "status=all": "status",
    "status=*": "status",
    "status=null": "status",
    "status=None": "status",
    "status=true": "status",
    "status=0": "status",
    "status=scheduled,completed": "status",
    "status=scheduled|completed": "status",
    "status=%EF%BD%93cheduled": "status",
    "sort=": "sort",
    "sort=Date": "sort",
    "sort=+date": "sort",
    "sort=--date": "sort",
    "sort=%E2%88%92date": "sort",  # a minus sign
    "sort=date,id": "sort",
    "sort=date%20desc": "sort",
    "sort=id": "sort",
    "sort=notes": "sort",
    "sort=date;--": "sort",
    "sort=1": "sort",
    # Numbers
    "limit=": "limit",
    "limit=0": "limit",
    "limit=-1": "limit",
    "limit=-0": "limit",
    "limit=1001": "limit",
    "limit=2147483648": "limit",
    "limit=9223372036854775808": "limit",
    "limit=" + "9" * 400: "limit",
    "limit=" + "0" * 400 + "1": "limit",
    "limit=01": "limit",
    "limit=1.0": "limit",
    "limit=1,0": "limit",
    "limit=1e1": "limit",
    "limit=1_0": "limit",
    "limit=0x10": "limit",
    "limit=0b1": "limit",
    "limit=0o7": "limit",
    "limit=%2B5": "limit",
    "limit=+5": "limit",
    "limit=5+": "limit",
    "limit=%205": "limit",
    "limit=5%0A": "limit",
    "limit=%0B5": "limit",
    "limit=%C2%A05": "limit",
    "limit=5%00": "limit",
    "limit=%EF%BC%95": "limit",
    "limit=%D9%A5": "limit",
    "limit=%E0%A5%AB": "limit",
    "limit=%E2%85%A4": "limit",  # the Roman numeral five
    "limit=%E2%91%A4": "limit",  # five in a circle
    "limit=five": "limit",
    "limit=NaN": "limit",
    "limit=Infinity": "limit",
    "limit=null": "limit",
    "limit=true": "limit",
    "limit=5L": "limit",
    "limit=5;": "limit",
    "limit=5)": "limit",
    "limit=ALL": "limit",
    # Cursors
    "cursor=": "cursor",
    "cursor=" + "A" * 513: "cursor",
    "cursor=a%3D%3D": "cursor",
    "cursor=a+b": "cursor",
    "cursor=..%2F..%2F": "cursor",
    "cursor=a.b": "cursor",
    "cursor=a,b": "cursor",
    "cursor=%00": "cursor",
    "cursor=a%0A": "cursor",
    "cursor=%D9%A1": "cursor",
}

NO_PAGES = [
    "a",
    "null",
    "W10",
    "e30",
    "WzFd",
    "_",
    "-",
    "A" * 512,
    "gASVCAAAAAAAAABdlC4",  # a pickle
    "rO0ABXNyAA",  # a serialized object of Java
    "W1tbW1tbW1tbW1tbW1tbW1tb",
    "WzEsIjAiLCJcdWQ4MDAiXQ",  # half of a character
]
"""Cursors that are well-formed and were not made by this API."""

DATES_REFUSED = [
    "",
    "%20",
    "now",
    "today",
    "infinity",
    "-infinity",
    "epoch",
    "NaN",
    "null",
    "0",
    "1705708800",
    "1705708800000",
    "1.7e9",
    # Forms of ISO 8601 other than calendar dates in the extended form, to the minute or finer
    "2024",
    "2024-01",
    "202401",
    "20",
    "--01-20",
    "---20",
    "20240120",
    "2024020",
    "2024-020",
    "2024-W03",
    "2024-W03-6",
    "2024W036",
    "+002024-01-20",
    "%2B002024-01-20",
    "-2024-01-20",
    "-0001-01-01T00:00:00Z",
    "12024-01-20",
    "20240120T100000Z",
    "20240120T100000",
    "2024-01-20T100000Z",
    "2024-01-20T10",
    "2024-01-20T10Z",
    "2024-01-20T10.5Z",
    "2024-01-20T10:00.5Z",
    "2024-01-20T10:00:00,Z",
    "2024-01-20T10:00,5Z",
    "2024-01-20T10:00:00.Z",
    "2024-01-20T10:00:00.+00:00",
    "2024-01-20T24:00:00Z",
    "2024-01-20T24:00:00.000Z",
    "2024-01-20T24:00:01Z",
    "2024-01-01/2024-02-01",
    "2024-01-01--2024-02-01",
    "2024-01-01/P1M",
    "P1D",
    "P1DT1H",
    "PT0S",
    "R5/2024-01-01T00:00:00Z/P1D",
    "2024-01-20T10:00:00Z[UTC]",
    "2024-01-20T10:00:00%2B03:00[Asia/Riyadh]",
    # Calendars
    "0000-01-01",
    "0000-12-31T23:59:59Z",
    "2023-02-29",
    "1900-02-29",
    "2100-02-29",
    "2024-02-30",
    "2024-04-31",
    "2024-00-10",
    "2024-13-10",
    "2024-01-00",
    "2024-01-32",
    "10000-01-01",
    "99999-12-31",
    "2024-1-20",
    "2024-01-2",
    "24-01-20",
    # Times
    "2024-01-20T25:00:00Z",
    "2024-01-20T10:60:00Z",
    "2024-01-20T10:00:61Z",
    "2024-01-20T10:00:60Z",  # a leap second where there is none
    "2024-01-20T00:00:60Z",
    "2024-01-20T23:59:60%2B01:00",
    "2024-01-20T-1:00:00Z",
    "2024-01-20T1:00:00Z",
    "2024-01-20T10:0:00Z",
    "2024-01-20T10:00:0Z",
    "2024-01-20T10:00:00.1.1Z",
    "2024-01-20T10:00:00.-1Z",
    "2024-01-20T10:00:00." + "1" * 31 + "Z",
    "2024-01-20T10:00:00." + "1" * 5_000 + "Z",
    "2024-01-20T10:00:00e1Z",
    # Offsets
    "2024-01-20T10:00:00%2B24:00",
    "2024-01-20T10:00:00-24:00",
    "2024-01-20T10:00:00%2B99:99",
    "2024-01-20T10:00:00%2B03:60",
    "2024-01-20T10:00:00%2B3",
    "2024-01-20T10:00:00%2B3:00",
    "2024-01-20T10:00:00%2B030",
    "2024-01-20T10:00:00%2B03000",
    "2024-01-20T10:00:00%2B03:",
    "2024-01-20T10:00:00%2B03:00:00",
    "2024-01-20T10:00:00%2B-03:00",
    "2024-01-20T10:00:00%2B%2B03:00",
    "2024-01-20T10:00:00%20%2B03:00",
    "2024-01-20T10:00:00++03:00",
    "2024-01-20T10:00:00%E2%88%9203:00",  # a minus sign
    "2024-01-20T10:00:00ZZ",
    "2024-01-20T10:00:00Z%2B03:00",
    "2024-01-20T10:00:00%2B03:00Z",
    "2024-01-20T10:00:00UTC",
    "2024-01-20T10:00:00%20GMT",
    "2024-01-20T10:00:00A",
    "2024-01-20T10:00:00%20Europe/Paris",
    "2024-01-20Z",
    "2024-01-20%2B03:00",
    # Spelling
    "2024-01-20T",
    "2024-01-20%20%2010:00:00",
    "2024-01-20%0910:00:00",
    "2024-01-20%C2%A010:00:00",  # a space that does not break
    "2024-01-20++10:00:00Z",
    "2024-01-20+10",
    "2024-01-20_10:00:00Z",
    "2024-01-20TT10:00:00Z",
    "2024/01/20",
    "2024.01.20",
    "20-01-2024",
    "01/20/2024",
    "20+Jan+2024",
    "Sat,+20+Jan+2024+10:00:00+GMT",
    "Saturday",
    "2024-Jan-20",
    "%202024-01-20",
    "2024-01-20%20",
    "2024-01-20%0A",
    "2024-01-20T10:00:00Z%0A",
    "2024-01-20%00",
    "2024-01-20T10:00:00Z%00",
    "%002024-01-20",
    "%EF%BB%BF2024-01-20",
    "%EF%BC%92%EF%BC%90%EF%BC%92%EF%BC%94-01-20",  # full-width digits
    "%D9%A2%D9%A0%D9%A2%D9%A4-01-20",  # Arabic digits
    "2024%E2%88%9201%E2%88%9220",
    "2024%E2%80%9301%E2%80%9320",
    "2024-01-20%E2%80%8B",
    "2024-01-20%FF",
    "2024-01-20%ED%A0%80",
    "2024-01-20%C0%BA",
    "%222024-01-20%22",
    "'2024-01-20'",
    "[2024-01-20]",
    "$gt",
    "%7B%22$gt%22:%222024-01-20%22%7D",
    "2024-01-20'--",
    "2024-01-20;2024-01-21",
    "2024-01-20,2024-01-21",
    "9" * 5_000,
    "2024-01-20" + "0" * 5_000,
]

SAME: dict[str, str] = {
    # Another way to ask, and the plain one
    "": "",
    "&": "",
    "&&&": "",
    f"&clientId={CLIENT}&": f"clientId={CLIENT}",
    f"&&clientId={CLIENT}&&status=scheduled&&": f"clientId={CLIENT}&status=scheduled",
    "clientId=" + "".join(f"%{byte:02x}" for byte in CLIENT.encode()): f"clientId={CLIENT}",
    f"%63%6C%69%65%6E%74%49%64={CLIENT}": f"clientId={CLIENT}",
    f"serviceIds={FIRST_SERVICE}%2C{SECOND_SERVICE}": f"serviceIds={FIRST_SERVICE},{SECOND_SERVICE}",
    f"serviceIds={FIRST_SERVICE}%2c{SECOND_SERVICE}": f"serviceIds={FIRST_SERVICE},{SECOND_SERVICE}",
    f"serviceIds={FIRST_SERVICE}&serviceIds={SECOND_SERVICE}": f"serviceIds={FIRST_SERVICE},{SECOND_SERVICE}",
    f"serviceIds={FIRST_SERVICE},{FIRST_SERVICE},{FIRST_SERVICE}": f"serviceIds={FIRST_SERVICE}",
    f"serviceIds={FIRST_SERVICE}" + ",x" * 99: f"serviceIds={FIRST_SERVICE}",
    "status=in%2Dprogress": "status=in-progress",
    "sort=%2Ddate": "sort=-date",
    "sort=date": "",
    # Ids that look like something else are ids, and nobody has them
    "clientId=null": "clientId=nobody",
    "clientId=None": "clientId=nobody",
    "clientId=undefined": "clientId=nobody",
    "clientId=true": "clientId=nobody",
    "clientId=0": "clientId=nobody",
    "clientId=-1": "clientId=nobody",
    "clientId=_": "clientId=nobody",
    "clientId=--": "clientId=nobody",
    "clientId=__proto__": "clientId=nobody",
    "clientId=1e400": "clientId=nobody",
    "clientId=" + "9" * 64: "clientId=nobody",
    f"clientId={CLIENT.upper()}": "clientId=nobody" if CLIENT.upper() != CLIENT else f"clientId={CLIENT}",
    f"clientId={CLIENT[:-1]}": "clientId=nobody",
    f"staffId={STAFF}0": "staffId=nobody",
    # Dates and times
    "dateTo=2024-01-20T00:00:00z": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20t00:00:00Z": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20t00:00:00z": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00%3A00%3A00Z": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00:00%2B00:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00:00-00:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T03:00:00%2B03:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T03:00:00+03:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T03:00:00%2003:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T03:00:00%2B0300": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T03:00:00%2B03": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T03:00:00+03": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00:00.000000%2B0000": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00:00.000000+0000": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00Z": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20+00:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20%2000:00:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20+00:00:00+00:00": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20%2003:00:00%2B03:00": "dateTo=2024-01-20T00:00:00Z",
    "dateFrom=2024-01-20T00:00:00,001Z": "dateFrom=2024-01-20T00:00:00.001Z",
    "dateTo=2024-01-20T23:59:00%2B23:59": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-19T00:01:00-23:59": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00:00.0Z": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00:00." + "0" * 30 + "Z": "dateTo=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T00:00:00.000000001Z": "dateTo=2024-01-20T00:00:00Z",
    "dateFrom=2024-01-20T00:00:00.000000001Z": "dateFrom=2024-01-20T00:00:00.001Z",
    "dateTo=2024-01-20": "dateTo=2024-01-20T23:59:59.999Z",
    "dateFrom=2024-01-20": "dateFrom=2024-01-20T00:00:00Z",
    "dateTo=2024-01-20T23:59:60Z": "dateTo=2024-01-20T23:59:59.999Z",
    "dateFrom=2024-01-19T23:59:60Z": "dateFrom=2024-01-20T00:00:00Z",
    "dateFrom=2024-01-20T02:59:60%2B03:00": "dateFrom=2024-01-20T00:00:00Z",
    "dateTo=2024-02-29": "dateTo=2024-02-29T23:59:59.999Z",
    "dateFrom=0001-01-01": "",
    "dateFrom=0001-01-01T00:00:00%2B14:00": "",
    "dateFrom=0001-01-01T00:00:00%2B23:59": "",
    "dateTo=9999-12-31": "",
    "dateTo=9999-12-31T23:59:59.999-14:00": "",
    "dateTo=9999-12-31T23:59:60Z": "",
    "dateTo=0001-01-01T00:00:00%2B14:00": "clientId=nobody",
    "dateFrom=9999-12-31T23:59:59.999-23:59": "clientId=nobody",
    "dateFrom=2024-02-01&dateTo=2024-01-01": "clientId=nobody",
    "updatedSince=0001-01-01": "",
    "updatedSince=9999-12-31T23:59:59-14:00": "clientId=nobody",
}

# Dots are percent-encoded, since the client of these tests would resolve plain ones; servers decode a path, then route.
PATHS: dict[str, int] = {
    "/v1/workspace/%20/sessions": 400,
    "/v1/workspace/%00/sessions": 400,
    f"/v1/workspace/{WORKSPACE}%00/sessions": 400,
    f"/v1/workspace/{WORKSPACE}%20/sessions": 400,
    f"/v1/workspace/{WORKSPACE}%0A/sessions": 404,
    f"/v1/workspace/{WORKSPACE}%0D%0AX:1/sessions": 404,
    f"/v1/workspace/{WORKSPACE};v=1/sessions": 400,
    f"/v1/workspace/{WORKSPACE};/sessions": 400,
    f"/v1/workspace/;{WORKSPACE}/sessions": 400,
    f"/v1/workspace/{WORKSPACE},other/sessions": 400,
    f"/v1/workspace/{WORKSPACE}%252e/sessions": 400,
    f"/v1/workspace/{WORKSPACE}.json/sessions": 400,
    "/v1/workspace/*/sessions": 400,
    "/v1/workspace/%2A/sessions": 400,
    "/v1/workspace/%25/sessions": 400,
    "/v1/workspace/%FF/sessions": 400,
    "/v1/workspace/%C0%AE%C0%AE/sessions": 400,
    "/v1/workspace/%ED%A0%80/sessions": 400,
    "/v1/workspace/%D8%B3/sessions": 400,
    "/v1/workspace/%7BworkspaceId%7D/sessions": 400,
    "/v1/workspace/{workspaceId}/sessions": 400,
    "/v1/workspace/:workspaceId/sessions": 400,
    "/v1/workspace/'--/sessions": 400,
    "/v1/workspace/%27%20OR%201=1/sessions": 400,
    "/v1/workspace/%2e%2e/sessions": 400,
    f"/v1/workspace/x/%2e%2e/{WORKSPACE}/sessions": 404,
    f"/v1/%2e/workspace/{WORKSPACE}/sessions": 404,
    f"/v1/%2e%2e/v1/workspace/{WORKSPACE}/sessions": 404,
    f"/v1/workspace/{WORKSPACE}/sessions/%2e": 404,
    f"/v1/workspace/{WORKSPACE}/sessions/%2e%2e": 404,
    f"/docs/%2e%2e/v1/workspace/{WORKSPACE}/sessions": 404,
    "/v1/workspace/%2E/sessions": 400,
    "/v1/workspace/..;/sessions": 400,
    f"/v1/workspace/{'a' * 65}/sessions": 400,
    f"/v1/workspace/{'a' * 4_000}/sessions": 400,
    f"/v1/workspace/{WORKSPACE.upper()}/sessions": 404,
    f"/v1/workspace/{WORKSPACE[:-1]}/sessions": 404,
    f"/v1/workspace/{WORKSPACE}0/sessions": 404,
    "/v1/workspace/null/sessions": 404,
    "/v1/workspace/-1/sessions": 404,
    f"/v1/workspace/{'a' * 64}/sessions": 404,
    f"/v1/workspace/x%2F..%2F{WORKSPACE}/sessions": 404,
    f"/v1/workspace/x%2f..%2f{WORKSPACE}%2fsessions": 404,
    f"/v1//workspace/{WORKSPACE}/sessions": 404,
    f"//v1/workspace/{WORKSPACE}/sessions": 404,
    f"/v1/workspace/{WORKSPACE}//sessions": 404,
    f"/v1/workspace/{WORKSPACE}/sessions/": 404,
    f"/v1/workspace/{WORKSPACE}/sessions//": 404,
    f"/v1/workspace/{WORKSPACE}/sessions;v=1": 404,
    f"/v1/workspace/{WORKSPACE}/sessions;": 404,
    f"/v1/workspace/{WORKSPACE}/sessions.json": 404,
    f"/v1/workspace/{WORKSPACE}/sessions%00": 404,
    f"/v1/workspace/{WORKSPACE}/sessions%20": 404,
    f"/v1/workspace/{WORKSPACE}/sessions%0A": 404,
    f"/v1/workspace/{WORKSPACE}/sessions%2F": 404,
    f"/v1/workspace/{WORKSPACE}/sessions%3Flimit=1": 404,
    f"/v1/workspace/{WORKSPACE}/sessions&limit=1": 404,
    f"/v1/workspace/{WORKSPACE}/SESSIONS": 404,
    f"/V1/workspace/{WORKSPACE}/sessions": 404,
    f"/v1/workspaces/{WORKSPACE}/sessions": 404,
    f"/v1\\workspace\\{WORKSPACE}\\sessions": 404,
    f"/v1/workspace/{WORKSPACE}": 404,
    "/v1/workspace//sessions": 404,
    "/v1/workspace/%2F/sessions": 404,
    "/docs/%2e%2e/%2e%2e/pyproject.toml": 404,
    "/docs/..%2f..%2fpyproject.toml": 404,
    "/docs//etc/passwd": 404,
    "/.env": 404,
    "/.git/config": 404,
    "/openapi.json/": 404,
    "/actuator/env": 404,
    f"/v1/workspace/%{ord(WORKSPACE[0]):02X}{WORKSPACE[1:]}/sessions": 200,
    f"/%761/workspace/{WORKSPACE}/%73essions": 200,
}


def refused_for(response: httpx.Response) -> list[str]:
    """The names that a 400 complains about; its body keeps the contract, stays small and repeats no value."""
    assert response.status_code == 400, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) < 700
    body: Any = response.json()
    require_valid_body(400, body)
    return [error["name"] for error in body["errors"]]


# A table is one test on each engine: a thousand tests of a few milliseconds would take longer to report than to run.


def test_a_query_that_is_not_in_order_is_refused_for_its_parameter(client: httpx.Client) -> None:
    refused = {query: refused_for(get(client, f"{PATH}?{query}")) for query in REFUSED}
    assert refused == {query: [name] for query, name in REFUSED.items()}


def test_no_other_form_of_a_date_is_taken_by_any_parameter(client: httpx.Client) -> None:
    names = ["dateFrom", "dateTo", "updatedSince"]
    queries = {text: "&".join(f"{name}={text}" for name in names) for text in DATES_REFUSED}
    refused = {text: refused_for(get(client, f"{PATH}?{query}")) for text, query in queries.items()}
    assert [text for text, refused_names in refused.items() if refused_names != names] == []


def test_a_cursor_that_this_api_never_made_is_a_page_that_is_not_there(client: httpx.Client) -> None:
    for cursor in NO_PAGES:
        response = get(client, f"{PATH}?limit=1&cursor={cursor}")
        assert (cursor, response.status_code) == (cursor, 404)
        assert len(response.content) < 300
        require_valid_body(404, response.json())
        assert [error["name"] for error in response.json()["errors"]] == ["cursor"]


def test_a_query_in_other_words_means_the_plain_one(client: httpx.Client) -> None:
    for query, plain_query in SAME.items():
        asked, plain = get(client, f"{PATH}?{query}"), get(client, f"{PATH}?{plain_query}")
        assert (query, asked.status_code, asked.content) == (query, 200, plain.content)
        assert (query, asked.json() == {"sessions": []}) == (query, "nobody" in plain_query)


def test_a_path_in_another_spelling_leads_nowhere_else(client: httpx.Client) -> None:
    answers = {path: get(client, path) for path in PATHS}
    assert {path: answer.status_code for path, answer in answers.items()} == PATHS
    for path, answer in answers.items():
        if answer.status_code == 200:
            assert (path, answer.content) == (path, get(client, PATH).content)
        else:
            assert answer.headers["content-type"] == "application/problem+json"
            assert "location" not in answer.headers
            assert len(answer.content) < 500
