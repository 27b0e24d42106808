"""The one table of permissions: who may do what by default, and what a scope leaves of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import Refused
from hub.model.access import (
    LOCAL_PRINCIPAL,
    PERMISSION_NAMES,
    PERMISSIONS,
    PERMISSIONS_OF_ROLE,
    PERMISSIONS_OF_SCOPE,
    Principal,
    Scope,
    UserRole,
    check_roles,
    check_scopes,
    permissions_of,
)

ROLES = [role.value for role in UserRole]
SCOPES = [scope.value for scope in Scope]


def test_each_role_holds_what_the_roles_before_it_hold() -> None:
    held = [PERMISSIONS_OF_ROLE[role] for role in ROLES]

    assert held[0] < held[1] < held[2] < held[3] == PERMISSION_NAMES


def test_a_viewer_changes_nothing_but_the_own_account() -> None:
    assert PERMISSIONS_OF_ROLE["viewer"] == {"read", "me.read", "me.write"}


def test_managers_and_admins_push_readings_others_do_not() -> None:
    assert [role for role in ROLES if "ingest" in PERMISSIONS_OF_ROLE[role]] == ["manager", "admin"]


def test_every_permission_has_one_name_one_scope_and_a_meaning() -> None:
    assert len(PERMISSION_NAMES) == len(PERMISSIONS)
    assert sum(len(held) for held in PERMISSIONS_OF_SCOPE.values()) == len(PERMISSIONS)
    assert all(permission.meaning for permission in PERMISSIONS)


@given(
    st.sets(st.sampled_from([*ROLES, "unknown"])), st.none() | st.sets(st.sampled_from([*SCOPES, "display"]))
)
def test_scopes_only_take_away(roles: set[str], scopes: set[str] | None) -> None:
    assert permissions_of(roles, scopes) <= permissions_of(roles)
    assert permissions_of((), scopes) == frozenset()


@given(st.sets(st.sampled_from(SCOPES), min_size=1))
def test_a_narrowed_caller_never_gains(scopes: set[str]) -> None:
    viewer = Principal("u", "viewer", ("viewer",), permissions_of(("viewer",), ("read",)), ("read",))

    assert viewer.narrowed(tuple(scopes)).permissions <= viewer.permissions


def test_names_of_roles_and_scopes_are_checked() -> None:
    assert check_roles(["viewer", "viewer", "admin"]) == ("viewer", "admin")
    assert (check_scopes(None), check_scopes([]), check_scopes(["read"])) == (None, None, ("read",))
    for bad in ([], ["boss"]):
        with pytest.raises(Refused, match="WL-AUTH-020"):
            check_roles(bad)
    with pytest.raises(Refused, match="WL-AUTH-021"):
        check_scopes(["everything"])


def test_the_command_line_may_everything() -> None:
    assert LOCAL_PRINCIPAL.permissions == PERMISSION_NAMES
    assert LOCAL_PRINCIPAL.may("config.manage")
