"""A HubSpot account in memory: lists, batches, search with its limits, an index that runs late, a recycle bin."""

import json
from datetime import UTC, datetime

import httpx

from tests.unit.providers.fakes import answer

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
VERSION = "2026-09"


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


class Portal:
    """Contacts by id. `hidden`: ids the index has not caught up with; `now`: of the Date header.

    links: contact -> ids of companies. most_links, most_listed: of one answer, one page. between: called with each
    search, before it is answered. extra: answers in place of these paths'.
    """

    def __init__(self) -> None:
        self.contacts: dict[int, dict] = {}
        self.properties = ["email", "hs_merged_object_ids", "hs_object_id", "lastmodifieddate"]
        self.links: dict[str, list[int]] = {}
        self.most_links = 500
        self.most_listed = 100
        self.hidden: set[int] = set()
        self.extra: dict[str, httpx.Response] = {}
        self.asked: list[tuple[str, dict]] = []
        self.now = NOW
        self.between = lambda: None

    def put(self, number: int, updated: datetime = NOW, **values: object) -> None:
        old = self.contacts.get(number, {"properties": {}, "createdAt": stamp(updated)})
        values = {**old["properties"], "hs_object_id": str(number), "lastmodifieddate": stamp(updated), **values}
        self.contacts[number] = {"id": str(number), "properties": values, "createdAt": old["createdAt"],
                                 "updatedAt": stamp(updated), "archived": False}  # fmt: skip

    def archive(self, number: int) -> None:
        self.contacts[number] |= {"archived": True, "archivedAt": stamp(self.now)}

    def count(self, part: str) -> int:
        return sum(part in path for path, _ in self.asked)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body = json.loads(request.content) if request.content else dict(request.url.params)
        self.asked.append((path, body))
        found = self.extra.get(path) or self._answer(path, body)
        found.headers["Date"] = f"{self.now:%a, %d %b %Y %H:%M:%S} GMT"
        return found

    def _answer(self, path: str, body: dict) -> httpx.Response:
        if path == f"/crm/properties/{VERSION}/contacts":
            return answer({"results": [{"name": name, "type": "string", "label": name} for name in self.properties]})
        if path == f"/crm/objects/{VERSION}/contacts":
            return self._listed(body)
        if path == f"/crm/objects/{VERSION}/contacts/search":
            self.between()
            return self._searched(body)
        if path == f"/crm/objects/{VERSION}/contacts/batch/read":
            return self._read(body)
        if path == f"/crm/associations/{VERSION}/contacts/companies/batch/read":
            return self._linked(body)
        return answer({"status": "error", "category": "OBJECT_NOT_FOUND"}, 404)

    def _listed(self, asked: dict) -> httpx.Response:
        is_bin, first, limit = (
            asked.get("archived") == "true",
            int(asked.get("after", 0)),
            min(int(asked["limit"]), self.most_listed),
        )
        rows = [row for number, row in sorted(self.contacts.items()) if row["archived"] == is_bin and number >= first]
        found: dict = {"results": [self._shown(row, asked["properties"].split(",")) for row in rows[:limit]]}
        if len(rows) > limit:
            found["paging"] = {"next": {"after": rows[limit]["id"], "link": "https://elsewhere.test/"}}
        return answer(found)

    def _searched(self, asked: dict) -> httpx.Response:
        assert len(json.dumps(asked)) <= 3000
        rows = [self.contacts[number] for number in sorted(self.contacts) if number not in self.hidden]
        rows = [row for row in rows if not row["archived"]]
        for each in asked.get("filterGroups", [{"filters": []}])[0]["filters"]:
            if each["propertyName"] == "hs_object_id":
                rows = [row for row in rows if int(row["id"]) > int(each["value"])]
            else:
                rows = [row for row in rows if millis(row) >= int(each["value"])]
        if asked["sorts"][0]["propertyName"] != "hs_object_id":
            rows.sort(key=millis, reverse=True)
        limit = min(asked["limit"], self.most_listed)
        found = {"total": len(rows), "results": [self._shown(row, asked["properties"]) for row in rows[:limit]]}
        if len(rows) > limit:
            found["paging"] = {"next": {"after": str(limit)}}
        return answer(found)

    def _read(self, asked: dict) -> httpx.Response:
        assert len(asked["inputs"]) <= 100
        rows = [self.contacts.get(int(each["id"])) for each in asked["inputs"]]
        there = [row for row in rows if row and not row["archived"]]
        lost = sorted({each["id"] for each in asked["inputs"]} - {row["id"] for row in there})
        errors = [{"status": "error", "category": "OBJECT_NOT_FOUND", "context": {"ids": lost}}] if lost else []
        shown = [self._shown(row, asked["properties"]) for row in reversed(there)]
        return answer({"status": "COMPLETE", "results": shown, "errors": errors}, 207 if lost else 200)

    def _linked(self, asked: dict) -> httpx.Response:
        results, errors = [], []
        for each in asked["inputs"]:
            ids, start = self.links.get(each["id"], []), int(each.get("after", 0))
            if not ids:
                errors.append({"category": "OBJECT_NOT_FOUND", "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND"})
                continue
            part = [{"toObjectId": one, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 1}]}
                    for one in ids[start : start + self.most_links]]  # fmt: skip
            result: dict = {"from": {"id": each["id"]}, "to": part}
            if start + self.most_links < len(ids):
                result["paging"] = {"next": {"after": str(start + self.most_links)}}
            results.append(result)
        return answer({"status": "COMPLETE", "results": results, "errors": errors})

    def _shown(self, row: dict, names: list[str]) -> dict:
        return row | {"properties": {name: row["properties"].get(name) for name in names if name in self.properties}}


def millis(row: dict) -> int:
    return round(datetime.fromisoformat(row["properties"]["lastmodifieddate"]).timestamp() * 1000)
