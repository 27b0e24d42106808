"""Codes of people and their tokens, the API, the running parts, plugins, the broker and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.config.codes import CodeText

_BUG = "A part of the hub broke a promise to another; this is a fault of the program."
_REPORT = "Please report it with the log."

HUB: Final[Mapping[str, CodeText]] = {
    "WL-CFG-000": CodeText(
        "safe mode",
        "The hub started although its configuration has errors.",
        "What is valid runs; entries with errors, and sections with errors by their defaults, wait.",
        "Run `wattline check`, correct the files, and reload.",
    ),
    "WL-AUTH-001": CodeText(
        "signing key too weak",
        "`auth.key` in the data directory is too short or a sample.",
        "Whoever can guess it could sign in as anybody.",
        "Remove it; a new one is made at the next start and everybody signs in again.",
    ),
    "WL-AUTH-002": CodeText(
        "signing key readable by others",
        "Other accounts of this machine can read `auth.key`.",
        "Whoever has it could sign in as anybody.",
        "Run `chmod 600` on it; if others may have read it, remove it instead.",
    ),
    "WL-AUTH-003": CodeText(
        "signing key cannot be read",
        "`auth.key` exists and cannot be read or understood.",
        "Its rights are wrong or the file is damaged.",
        "Restore it, or remove it: a new one is made and everybody signs in again.",
    ),
    "WL-AUTH-004": CodeText(
        "accounts not loaded yet",
        "The hub has just started and does not know its users yet.",
        "It takes a moment; nobody is let in unchecked meanwhile.",
        "Try again in two seconds.",
    ),
    "WL-AUTH-009": CodeText(
        "no credential",
        "The address needs a token and none was sent.",
        "Everything but signing in, health and the documentation is closed.",
        "Send `Authorization: Bearer TOKEN`; `wattline token create` makes one.",
    ),
    "WL-AUTH-010": CodeText(
        "wrong user name or password",
        "The pair does not fit. The answer is the same for an unknown name.",
        "A different answer would tell strangers which names exist.",
        "Try again, or set a new password with `wattline user reset-password NAME`.",
    ),
    "WL-AUTH-011": CodeText(
        "token not valid",
        "The token is unknown, expired, revoked or malformed.",
        "One answer for all, so that nothing can be learned from it.",
        "Sign in again, or make a new token with `wattline token create`.",
    ),
    "WL-AUTH-012": CodeText(
        "setup link not valid",
        "The one-time link was used already, or it belongs to an earlier start.",
        "It makes the owner's account, so it works once.",
        "Use the link that the running hub printed, or `wattline user add NAME --role admin`.",
    ),
    "WL-AUTH-013": CodeText(
        "token would exceed its maker",
        "A token was to have more rights than who makes it, or to be made for somebody else.",
        "A token never exceeds its user, and nobody acts in another's name without a trace.",
        "Name fewer scopes, or use `wattline token create --user NAME` on the hub's machine.",
    ),
    "WL-AUTH-014": CodeText(
        "key of the command line wrong",
        "The key that a command sent is not the one of this hub process, or it came from elsewhere.",
        "Each start makes a new key, which counts from this machine only.",
        "Run the command again with the --data of this hub.",
    ),
    "WL-AUTH-015": CodeText(
        "credential of an unknown kind",
        "The `Authorization` header has a scheme that is not read here, or cannot be decoded.",
        "Each address reads the places that its clients use, and no others.",
        "Send `Authorization: Bearer TOKEN`.",
    ),
    "WL-AUTH-016": CodeText(
        "permission missing",
        "The caller is known and lacks the permission that is named.",
        "Roles give permissions, and the scopes of a token narrow them.",
        "An admin can give the role; or make a token with the scope that holds it.",
    ),
    "WL-AUTH-017": CodeText(
        "request of another site",
        "A browser says that another web site sent this request.",
        "Other sites must not act with your session.",
        "Open the hub's own address; behind a proxy, keep the Host header.",
    ),
    "WL-AUTH-018": CodeText(
        "command line only",
        "Passwords of other people are set on the hub's own machine only.",
        "An admin who could choose somebody's password could be that somebody without a trace.",
        "Run `wattline user reset-password NAME`.",
    ),
    "WL-AUTH-020": CodeText(
        "role not known",
        "A role is missing or is none of viewer, operator, manager, admin.",
        "A user without a role could do nothing.",
        "Name one of them.",
    ),
    "WL-AUTH-021": CodeText(
        "scope not known",
        "A scope is none of read, write, ingest, admin.",
        "A misspelt scope must not become a token that may do everything.",
        "Name any of them; none at all means everything that the user may do.",
    ),
    "WL-AUTH-022": CodeText(
        "password too short or too long",
        "A password has 8 characters or more, and 1,024 bytes at most.",
        "Short ones are guessed; endless ones cost the hub its time.",
        "Fifteen characters or a few words are a good length.",
    ),
    "WL-AUTH-023": CodeText(
        "user name not possible",
        "A user name has 1 to 64 of the characters a-z A-Z 0-9 . _ @ + - and starts with a letter or digit.",
        "Names stand in addresses, logs and file names.",
        "Choose another.",
    ),
    "WL-AUTH-024": CodeText(
        "user name taken",
        "There is a user of this name; upper and lower case are the same.",
        "Two people with one name could not be told apart in the audit trail.",
        "Choose another; `wattline user list` shows them.",
    ),
    "WL-AUTH-025": CodeText(
        "last admin",
        "The change would leave no admin who can sign in.",
        "Nobody could manage the hub any more.",
        "Give another user the role admin first.",
    ),
    "WL-AUTH-026": CodeText(
        "token needs a name",
        "A token needs a name of 1 to 100 printable characters.",
        "Later you want to know which token to revoke.",
        "Name what uses it, such as `boiler room`.",
    ),
    "WL-AUTH-027": CodeText(
        "token expired before it began",
        "The end of the token lies in the past.",
        "It would never have worked.",
        "Give a later end or a duration such as 90d.",
    ),
    "WL-AUTH-028": CodeText(
        "too many tokens",
        "The user has 200 tokens already.",
        "A program that makes a token at each start would fill the store.",
        "Revoke those that nobody uses: `wattline token list`.",
    ),
    "WL-AUTH-029": CodeText(
        "scope beyond the user",
        "The user may do nothing of the scope, so the token could not either.",
        "For instance `ingest` needs a manager or an admin.",
        "Give the user the role, or make the token for another user.",
    ),
    "WL-AUTH-030": CodeText(
        "too many people sign in",
        "More passwords wait to be checked than the hub takes at a time.",
        "Checking a password is slow by intention.",
        "Try again in some seconds.",
    ),
    "WL-AUTH-031": CodeText(
        "too many tries",
        "Too many sign-ins of this address or account failed.",
        "It slows down whoever guesses.",
        "Wait as long as the answer says.",
    ),
    "WL-API-030": CodeText(
        "resolution not known",
        "The resolution is none of auto, raw, 1m, 15m, 1h, 1d, 1mo, 1y.",
        "Another word would give figures of another length than you think.",
        "Use one of them.",
    ),
    "WL-API-031": CodeText(
        "answer too large",
        "The range holds more buckets than one answer does.",
        "The hub answers in bounded time and memory.",
        "Ask for a shorter range or a coarser resolution.",
    ),
    "WL-API-032": CodeText(
        "range is empty",
        "`end` does not lie after `start`.",
        "`end` is exclusive.",
        "Exchange them, or take a later end.",
    ),
    "WL-API-033": CodeText(
        "column not known",
        "A column is none of energy, delta, mean, min, max, last, count, quality.",
        "A misspelt column must not be left out silently.",
        "Use one of them.",
    ),
    "WL-API-060": CodeText(
        "period not known",
        "The period is none of day, week, month, year, billing.",
        "Another word would give figures of another length than you think.",
        "Use one of them, or `start` and `end`.",
    ),
    "WL-API-061": CodeText(
        "comparison not known",
        "The comparison is none of previous, week, year.",
        "A misspelt one must not be left out silently.",
        "Use one of them.",
    ),
    "WL-API-400": CodeText(
        "request not readable",
        "The body is not JSON, or a parameter has the wrong form; the answer names it.",
        "Nothing was done.",
        "Correct what `field` names; /api/docs shows the forms.",
    ),
    "WL-API-403": CodeText(
        "websocket of another site",
        "A page of another site wants to open the websocket.",
        "It could act with your session.",
        "Name the site in `http.allow_origins` if it is yours.",
    ),
    "WL-API-404": CodeText(
        "not found",
        "There is no such thing, or it is not yours; both look the same.",
        "A different answer would tell strangers what exists.",
        "List what there is, and check the spelling.",
    ),
    "WL-API-405": CodeText(
        "method not taken",
        "The address exists, but takes other methods; the header `Allow` of the answer lists them.",
        "Nothing was done.",
        "Use one of these methods; /api/docs lists the addresses with theirs.",
    ),
    "WL-API-408": CodeText(
        "body too slow",
        "The body did not come in time.",
        "Senders that trickle would hold connections for ever.",
        "Send it again, in smaller parts if the line is slow.",
    ),
    "WL-API-410": CodeText(
        "odd path",
        "The path holds `..`, `//`, a backslash, or is encoded twice.",
        "Different readers would read it differently, which is how checks are passed by.",
        "Send the plain path.",
    ),
    "WL-API-413": CodeText(
        "body too large",
        "The body is larger than this address takes.",
        "1 MiB for the API; 16 MiB, unpacked 64 MiB, for readings.",
        "Send it in parts.",
    ),
    "WL-API-414": CodeText(
        "address too long",
        "The address of the request is longer than 64 KiB.",
        "A request is read into memory before anything is known of its sender.",
        "Ask for fewer series at a time, or send readings in the body.",
    ),
    "WL-API-415": CodeText(
        "content type or packing not known",
        "The body is of another type, or packed in another way, than this address reads.",
        "Guessing would read something else than was sent.",
        "Send `Content-Type: application/json`, plain or with gzip.",
    ),
    "WL-API-422": CodeText(
        "content not acceptable",
        "The request can be read, but its content does not fit; `errors` names every field.",
        "Nothing was done.",
        "Correct the fields and send it again.",
    ),
    "WL-API-423": CodeText(
        "configuration not applied",
        "The files on disk have errors; the last good configuration stays in force.",
        "A reload applies everything or nothing.",
        "Correct them (`wattline check` shows the same errors) and reload again.",
    ),
    "WL-API-429": CodeText(
        "too busy for large bodies",
        "Several large bodies are being read at this moment.",
        "A crowd of senders must not fill the memory.",
        "Send it again after Retry-After.",
    ),
    "WL-API-431": CodeText(
        "header too long",
        "A header of the request is longer than 8 KiB.",
        "A request is read into memory before anything is known of its sender.",
        "Send a valid token, and fewer or shorter cookies.",
    ),
    "WL-API-500": CodeText(
        "unexpected",
        "Something happened that nobody foresaw.",
        "Details stay in the log, under the request id of the answer.",
        "Look there, and please report it.",
    ),
    "WL-API-503": CodeText(
        "too many connections",
        "There are too many websocket connections, or the hub stops.",
        "Each one costs memory; their number is bounded.",
        "Try again after Retry-After; close pages that nobody looks at.",
    ),
    "WL-API-900": CodeText(
        "bug: address without a gate", "A handler says nothing about who may call it.", _BUG, _REPORT
    ),
    "WL-API-901": CodeText(
        "bug: address declared wrongly", "A route is neither public nor protected.", _BUG, _REPORT
    ),
    "WL-API-902": CodeText(
        "bug: permission not known",
        "A handler asks for a permission that does not exist.",
        "A part of the hub broke a promise to another; this is a fault of the program.",
        "Please report it with the log.",
    ),
    "WL-RUN-001": CodeText(
        "no answer in time",
        "A part of the hub did not answer within its time.",
        "It is busy or it hangs; the watchdog restarts what hangs.",
        "Try again; if it stays, look at `wattline doctor` and the log.",
    ),
    "WL-RUN-002": CodeText(
        "part of the hub is overloaded",
        "The inbox of a part is full.",
        "Nothing grows without bound; the sender is told instead.",
        "Try again later; if it stays, the machine is too small for its load.",
    ),
    "WL-RUN-003": CodeText(
        "part of the hub has stopped",
        "The hub is stopping, or this part is switched off.",
        "Requests to it are refused at once instead of waiting.",
        "Try again when the hub is back.",
    ),
    "WL-RUN-004": CodeText(
        "part of the hub failed",
        "A part failed several times in a short time and rests, or it is being restarted.",
        "A part that fails at once again would only burn time.",
        "The log has its stack; correct what it names, then restart the hub.",
    ),
    "WL-RUN-005": CodeText(
        "work was cancelled",
        "A request was given up before it was finished.",
        "Usually because the hub is stopping.",
        "Send it again.",
    ),
    "WL-RUN-006": CodeText(
        "bug: handler failed", "A handler raised an error that nobody foresaw.", _BUG, _REPORT
    ),
    "WL-RUN-007": CodeText(
        "bug: circle of questions", "Two parts wait for each other's answer.", _BUG, _REPORT
    ),
    "WL-RUN-008": CodeText("bug: blocking wait", "A part would have frozen the event loop.", _BUG, _REPORT),
    "WL-RUN-009": CodeText("bug: wrong factory", "A part was built in a wrong way.", _BUG, _REPORT),
    "WL-RUN-010": CodeText(
        "bug: part runs twice", "A part was started under a name that runs.", _BUG, _REPORT
    ),
    "WL-RUN-011": CodeText("bug: no such part", "A part was named that does not exist.", _BUG, _REPORT),
    "WL-RUN-012": CodeText("bug: waits for itself", "A part waits for its own end.", _BUG, _REPORT),
    "WL-RUN-020": CodeText(
        "bug: wrong listener", "Something that cannot listen was subscribed.", _BUG, _REPORT
    ),
    "WL-WEB-001": CodeText(
        "address in use",
        "The hub cannot listen on its address.",
        "Another program listens there, the port needs more rights, or the host is not of this machine.",
        "Choose another with --port or `http.port`, or stop the other program.",
    ),
    "WL-WEB-002": CodeText(
        "no TLS of its own",
        "`http.tls` is configured, but this version serves plain HTTP only.",
        "Serving plain where somebody asked for encryption would be worse than not starting.",
        "Remove `http.tls` and put a reverse proxy with TLS in front.",
    ),
    "WL-BRK-001": CodeText(
        "no MQTT broker installed",
        "No broker that `mqtt_broker.mode` allows is installed.",
        "The hub runs mosquitto, or amqtt where it is missing.",
        "Install mosquitto (Debian: apt install mosquitto), or set the mode to off.",
    ),
    "WL-BRK-002": CodeText(
        "broker port in use",
        "The MQTT broker cannot listen on its address.",
        "Often a mosquitto of the system listens there already.",
        "Use that one (`broker: mqtt://HOST:PORT`), choose another `mqtt_broker.port`, or set the mode to off.",
    ),
    "WL-BRK-003": CodeText(
        "broker would be open",
        "The broker would let anybody of the network in, or a login cannot be kept.",
        "Whoever reaches an open broker can invent readings.",
        "Add `mqtt_broker.users`, or listen on 127.0.0.1.",
    ),
    "WL-BRK-004": CodeText(
        "broker does not run",
        "The broker's program does not start, or ended.",
        "Its last lines are in the detail.",
        "Correct what they name; the hub tries again by itself.",
    ),
    "WL-PLG-001": CodeText(
        "manifest not readable",
        "`manifest.yaml` of an integration is missing, too large or no YAML.",
        "The manifest is read before any of its code runs.",
        "Correct it, or install the integration again.",
    ),
    "WL-PLG-002": CodeText(
        "manifest wrong",
        "`manifest.yaml` lacks a key or holds a wrong value.",
        "The hub must know what it loads.",
        "Correct it; `wattline integration new` shows a right one.",
    ),
    "WL-PLG-003": CodeText(
        "made for another plugin API",
        "The integration was made for another version of the plugin API.",
        "It would fail later, in the middle of its work.",
        "Install a version that fits this hub.",
    ),
    "WL-PLG-004": CodeText(
        "integration cannot be imported",
        "Importing it raised an error, which is shown.",
        "A missing package or a fault in its code.",
        "Install what its manifest requires, or report the error to its author.",
    ),
    "WL-PLG-005": CodeText(
        "integration loads too slowly",
        "It did not load within ten seconds and was left out.",
        "One plugin must not keep the hub from starting.",
        "Network and device access belong into connect(), not into the import.",
    ),
    "WL-PLG-006": CodeText(
        "not an integration",
        "It does not describe itself in exactly one hook.",
        "Its `__init__.py` needs one @hookimpl hub_integration() that returns an Integration.",
        "Compare with what `wattline integration new` writes.",
    ),
    "WL-PLG-007": CodeText(
        "two names",
        "Manifest and code name different domains.",
        "The configuration could not tell which one is meant.",
        "Use the same domain in both.",
    ),
    "WL-PLG-008": CodeText(
        "integration disabled",
        "The configuration switches it off.",
        "Somebody wanted it so.",
        "Take it out of the list of disabled ones.",
    ),
    "WL-CLI-001": CodeText(
        "run file not to be trusted",
        "`run.json` in the data directory is damaged, readable by others, or names another machine.",
        "A command sends a secret key to the address in it.",
        "Restart the hub, it writes a new one; if others could write the directory, correct its rights first.",
    ),
    "WL-CLI-002": CodeText(
        "data directory busy",
        "A process holds the data directory and takes no commands: a hub that starts, or another command.",
        "While it does, no other process opens the database.",
        "Wait and try again.",
    ),
    "WL-CLI-003": CodeText(
        "running hub does not answer",
        "The hub of this data directory runs, but does not answer on its loopback address in time.",
        "It is overloaded, starting or hanging.",
        "Look at its log; `wattline doctor` says more.",
    ),
    "WL-CLI-004": CodeText(
        "no database yet",
        "The data directory holds no database.",
        "Only the hub's first start, `user add` and a restore make one.",
        "Name the right directory with --data, or start the hub once.",
    ),
    "WL-CLI-005": CodeText(
        "a token instead of its id",
        "A token itself was given where its id is wanted.",
        "Tokens do not belong on command lines, where other accounts can read them.",
        "Take the id from `wattline token list`; if others may have seen the token, revoke it.",
    ),
    "WL-CLI-006": CodeText(
        "no password",
        "A password is needed and none was given.",
        "Passwords do not belong on command lines, where other accounts can read them.",
        "Send it on stdin with --password-stdin, or run the command in a terminal.",
    ),
    "WL-CLI-007": CodeText(
        "no usable secret",
        "The value is empty, holds a NUL character, or is longer than 16 KiB.",
        "The configuration would refuse it.",
        "Send the secret on stdin: printf '%s' … | wattline secrets set NAME",
    ),
    "WL-CLI-008": CodeText(
        "secrets file not usable",
        "`secrets.yaml` cannot be read, is no list of `name: text`, or is a link.",
        "Writing it anew would lose what is in it.",
        "Mend it by hand first; `wattline check` shows the place.",
    ),
    "WL-CLI-009": CodeText(
        "code not known",
        "There is no error code of this name in this version.",
        "It is misspelt, or of a newer version.",
        "`wattline explain` lists all codes.",
    ),
    "WL-CLI-010": CodeText(
        "derived figures differ",
        "Stored figures are not what the stored readings give.",
        "The program that wrote them had a fault, or somebody changed the database.",
        "Run `wattline db rebuild`, and please report it.",
    ),
    "WL-CLI-011": CodeText(
        "integration name not possible",
        "The name of a new integration is not of the form [a-z][a-z0-9_]{1,31}, or is taken.",
        "It is the name of a Python package and of a key in hub.yaml.",
        "Choose another.",
    ),
    "WL-CLI-012": CodeText(
        "integration does not pass",
        "The conformance kit found something that would go wrong in a hub; the list says what.",
        "One integration must not disturb the others or lose readings.",
        "Correct the points and run `wattline integration test` again.",
    ),
    "WL-CLI-013": CodeText(
        "only without a hub",
        "The command needs the store for itself and a hub runs.",
        "Two processes must never write one store.",
        "Stop the hub first.",
    ),
    "WL-CLI-014": CodeText(
        "file cannot be written",
        "The file or directory that was named cannot be written.",
        "It exists already, or owner, rights or room stand against it.",
        "Name another.",
    ),
    "WL-CLI-015": CodeText(
        "wrong use of a command",
        "A command, an option or a value on the command line is not known, or one is missing.",
        "A misspelt option would be ignored in silence.",
        "`--help` behind the command lists what it takes.",
    ),
}
