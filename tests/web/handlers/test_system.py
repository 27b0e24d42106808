"""State, configuration and backups of the hub over HTTP."""

from __future__ import annotations

from tests.web.conftest import House


async def test_the_hub_tells_how_it_is(house: House) -> None:
    health = await house.get("/api/v1/health")
    ready = await house.get("/readyz", by=None)

    assert health.json["status"] in ("ok", "degraded")
    assert {"ok", "code", "detail"} <= set(health.json["parts"]["recorder"])
    assert (await house.get("/healthz", by=None)).json == {"status": "alive"}
    assert (ready.status == 200) == ready.json["ready"]
    assert (await house.get("/api/v1/version")).json["version"] == house.hub.version
    assert (await house.get("/api/v1/energy/live")).json["unit"] == "W"
    assert (await house.get("/api/v1/quarantine")).json == {"items": [], "next": None}
    assert (await house.get("/api/v1/integrations")).status == 200
    assert (await house.get("/api/v1/plugins")).json["items"]


async def test_the_configuration_is_shown_without_its_secrets(house: House) -> None:
    path = house.hub.config_dir / "hub.yaml"
    path.write_text(
        path.read_text()
        + "notify: {email: {host: h, password: canary-in-config}, apprise: ['ntfy://u:canary-in-url@h/?token=canary-in-query']}\n"
    )
    reloaded = await house.post("/api/v1/config/reload")
    shown = await house.get("/api/v1/config")
    path.write_text("hub: {nme: x}\n")
    broken = await house.post("/api/v1/config/reload")

    assert reloaded.status == 200
    assert shown.json["config"]["notify"]["email"]["password"] == "••••"
    assert b"canary" not in shown.body
    assert "ntfy://••••@h" in shown.json["config"]["notify"]["apprise"][0]
    assert (broken.status, broken.code) == (422, "WL-API-423")
    assert broken.json["errors"][0]["file"]


async def test_a_backup_is_made_and_listed(house: House) -> None:
    made = await house.post("/api/v1/backups")
    listed = await house.get("/api/v1/backups")

    assert made.status == 201
    assert [one["id"] for one in listed.json["items"]] == [made.json["id"]]
    assert (await house.get("/api/v1/backups", by="manager")).status == 403
