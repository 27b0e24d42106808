"""Codes of readings, devices and integrations, from the door to the derived figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hub.config.codes import CodeText

_ITEM = "The other items of the same request are stored."

READINGS: Final[Mapping[str, CodeText]] = {
    "WL-ING-001": CodeText(
        "body not readable",
        "The body is not UTF-8 or not JSON.",
        "Nothing of it can be understood, so nothing is stored.",
        "Send UTF-8 JSON; NaN and Infinity are not JSON.",
    ),
    "WL-ING-002": CodeText(
        "not an object",
        "An item is no JSON object, or the body is neither an object nor a list of them.",
        _ITEM,
        'Send {"device": "main-meter", "values": {"power": 1234.5}}.',
    ),
    "WL-ING-003": CodeText(
        "no values", "An item holds no values.", _ITEM, "Leave out items that say nothing."
    ),
    "WL-ING-004": CodeText(
        "field missing or of the wrong kind",
        "A field such as `device` or `values` is missing, empty, or of another kind than it has to be.",
        _ITEM,
        "Correct the field that is named.",
    ),
    "WL-ING-005": CodeText(
        "key stands twice",
        "The same key stands twice in one object.",
        "Different readers would take different ones, so the value is unknown.",
        "Send each key once.",
    ),
    "WL-ING-006": CodeText(
        "too many items",
        "One request holds more items than it may.",
        "The hub works in bounded steps.",
        "Send them in several requests.",
    ),
    "WL-ING-007": CodeText(
        "field not known",
        "An item has a field that the format does not know.",
        "A misspelt field would be lost silently.",
        "Correct its name, or leave it out.",
    ),
    "WL-ING-010": CodeText(
        "device name not possible",
        "No id can be made of the device's name: it is empty, too long, or only dots and slashes.",
        "Ids are a-z, 0-9, - and _; other names are changed to that.",
        "Give a name with letters or digits.",
    ),
    "WL-ING-011": CodeText(
        "series name not possible",
        "No key can be made of the series' name.",
        "Keys are a-z, 0-9 and _.",
        "Give a name with letters or digits.",
    ),
    "WL-ING-020": CodeText(
        "unit does not fit",
        "The unit does not measure the quantity of the series.",
        "Numbers of another quantity would be summed up as if they fitted.",
        "Send one of the units that are named.",
    ),
    "WL-ING-021": CodeText(
        "kind not known",
        "The kind of a series is none of gauge, counter, delta.",
        "It decides how energy is made of the values.",
        "Use one of them.",
    ),
    "WL-ING-022": CodeText(
        "series is something else",
        "The series exists with another quantity.",
        "One series has one meaning for ever.",
        "Use another series key, or correct the sender.",
    ),
    "WL-ING-023": CodeText(
        "role not known",
        "The role of a device is not one of the known ones.",
        _ITEM,
        "Use one that is named.",
    ),
    "WL-ING-024": CodeText(
        "device waits",
        "The device waits in the inbox, or somebody chose to ignore it.",
        "Found devices are stored when a person has added them.",
        "Add it in the inbox.",
    ),
    "WL-ING-025": CodeText(
        "kind does not fit",
        "The kind that a sender names is not the one of the series, or the quantity has no such kind: a power is"
        " a state and no counter.",
        "Amounts that are taken for readings of a register, or the reverse, would become false energy.",
        "Correct the kind, leave it out, or use another series key.",
    ),
    "WL-ING-030": CodeText(
        "time not readable",
        "The time is neither a number nor an ISO 8601 text of the calendar.",
        _ITEM,
        "Send epoch milliseconds, or a text such as 2026-03-29T00:00:00+01:00.",
    ),
    "WL-ING-031": CodeText(
        "time without offset",
        "The text has no offset, so it names no instant.",
        "In autumn the same hour comes twice.",
        "Add Z or an offset such as +01:00.",
    ),
    "WL-ING-032": CodeText(
        "time out of every range",
        "The number is no possible time.",
        _ITEM,
        "Send seconds, ms, µs or ns since 1970.",
    ),
    "WL-ING-033": CodeText(
        "device clock not set",
        "The time lies before the year 2000.",
        "Devices without a set clock start at 1970.",
        "Set the device's clock, or send no time at all: then the arrival counts.",
    ),
    "WL-ING-034": CodeText(
        "too far in the past",
        "The time lies further behind than the hub takes.",
        "It would change figures of long ago; an import is the way for old data.",
        "Check the device's clock, or raise the limit in the configuration.",
    ),
    "WL-ING-035": CodeText(
        "in the future",
        "The time lies ahead of the hub's clock.",
        "One of the two clocks is wrong, and a reading of the future would hide those of the present.",
        "Synchronise both clocks.",
    ),
    "WL-ING-040": CodeText(
        "not a finite number",
        "The value is NaN or infinite.",
        "It would poison every sum it goes into.",
        "Send nothing where there is no value.",
    ),
    "WL-ING-041": CodeText(
        "beyond any measurement",
        "The value is larger than anything that is measured.",
        "Usually a decoding fault of the device.",
        "Check its register map.",
    ),
    "WL-ING-042": CodeText(
        "not a number",
        "The value is a text, a boolean or an object.",
        _ITEM,
        "Send numbers as JSON numbers, without quotes.",
    ),
    "WL-ING-043": CodeText(
        "conflict",
        "Another value is stored for the same series and time.",
        "The first value wins; the other one is kept as a conflict, so nothing is lost.",
        "Look at what sends twice; correct the reading if the first one was wrong.",
    ),
    "WL-ING-044": CodeText(
        "amount without a time",
        "An amount of energy without a device time cannot be told from its own repetition.",
        "Counted twice it would be consumption that never was.",
        "Send the counter's reading instead, or a time with each amount.",
    ),
    "WL-ING-045": CodeText(
        "series number not known",
        "A source sent values for a series that the hub does not have (any more).",
        "The device was removed, or the source kept a handle for too long.",
        "The source has to look its handles up again; the other values are stored.",
    ),
    "WL-ING-046": CodeText(
        "not a batch of readings",
        "An integration handed over something else than columns of numbers.",
        "The integration has a bug.",
        "Report it to the maker of the integration; nothing of this batch is stored, others go on.",
    ),
    "WL-ING-050": CodeText(
        "queue full",
        "More values wait to be stored than the queue takes.",
        "Senders are asked to wait instead of losing what is accepted.",
        "Send the same again after Retry-After; repeats are recognised.",
    ),
    "WL-ING-052": CodeText(
        "line not readable", "A line is no InfluxDB line protocol.", _ITEM, "Correct the line that is named."
    ),
    "WL-ING-053": CodeText(
        "fields left out",
        "Text or boolean fields of a line were left out; its numbers are stored.",
        "Only numbers are measurements.",
        "Nothing, if you do not need them.",
    ),
    "WL-ING-061": CodeText(
        "emoncms body not readable",
        "A body is neither a form nor packed as it says.",
        "Nothing of it is stored.",
        "Check the sender's settings.",
    ),
    "WL-ING-062": CodeText(
        "emoncms data not readable",
        "The data is no list or object that emoncms takes.",
        "Nothing of it is stored.",
        "Check the sender's settings.",
    ),
    "WL-DEV-001": CodeText(
        "too many series",
        "The device has as many series as it may.",
        "Often a changing value is part of the series' name.",
        "Correct the names that the sender makes.",
    ),
    "WL-DEV-002": CodeText(
        "device exists",
        "There is a device of this id.",
        "Ids are unique.",
        "Choose another id, or change the device.",
    ),
    "WL-DEV-003": CodeText(
        "too many devices",
        "There are as many devices as there may be.",
        "Often a changing value is part of the device's name.",
        "Correct the names, and remove devices that are gone.",
    ),
    "WL-DEV-004": CodeText(
        "value not possible",
        "A property of a device cannot have this value.",
        "Nothing was changed.",
        "Use one of the values that are named.",
    ),
    "WL-DEV-005": CodeText(
        "own parent",
        "A device cannot stand below itself.",
        "Sums would go round in circles.",
        "Choose another parent.",
    ),
    "WL-INT-001": CodeText(
        "no connection",
        "An integration cannot reach its device.",
        "It is off, elsewhere, or the network is away.",
        "The hub tries again with growing pauses; the detail says what to check.",
    ),
    "WL-INT-002": CodeText(
        "device refuses the credentials",
        "The device or service does not accept user name, password or token.",
        "The hub does not try again by itself: that could lock the account.",
        "Correct the entry and reload the configuration.",
    ),
    "WL-INT-003": CodeText(
        "source ended",
        "The source of an integration ended by itself.",
        "A source works until it is stopped.",
        "The hub starts it again; report it to the integration's author.",
    ),
    "WL-INT-004": CodeText(
        "connecting takes too long",
        "The device did not connect in time.",
        "It is busy or far away.",
        "The hub tries again; check host and port.",
    ),
    "WL-INT-005": CodeText(
        "integration failed",
        "An integration raised an error that it should not.",
        "A fault in its code, or an answer that it did not expect.",
        "The hub starts it again; the log has the stack.",
    ),
    "WL-INT-006": CodeText(
        "integration rests",
        "An integration failed several times in a short time and rests.",
        "It must not burn the machine's time.",
        "Correct what the detail names, then reload the configuration.",
    ),
    "WL-INT-007": CodeText(
        "integration holds everybody up",
        "An integration held the event loop five times a minute for a quarter of a second or more, and rests.",
        "It computes, sleeps or waits in a way that stops the whole hub.",
        "Report it to its maker with the stack that is shown; restart the entry to try again.",
    ),
    "WL-MOD-001": CodeText(
        "register without a value",
        "The device says that it has no value now.",
        "Many do so at night or while they start.",
        "Nothing; the series goes on when there is one.",
    ),
    "WL-MOD-002": CodeText(
        "register refused",
        "The device does not have a register of the map.",
        "The template is for another model or firmware.",
        "Choose another template, or leave the register out.",
    ),
    "WL-MQT-001": CodeText(
        "payload is no text",
        "An MQTT payload is not UTF-8.",
        "It cannot be read as a number or JSON.",
        "Check topic and sender.",
    ),
    "WL-MQT-002": CodeText(
        "payload is no number",
        "An MQTT payload is not a decimal number.",
        "Nothing is guessed.",
        "Give a `value` template that picks the number.",
    ),
    "WL-MQT-003": CodeText(
        "payload is no JSON",
        "The template wants JSON and the payload is none.",
        "Nothing is guessed.",
        "Check topic and sender.",
    ),
    "WL-MQT-004": CodeText(
        "not a number",
        "The picked value is a text, a list or a boolean.",
        "Nothing is guessed.",
        "Correct the `value` template.",
    ),
    "WL-MQT-005": CodeText(
        "nothing of use",
        "The message holds none of the configured values.",
        "It is acknowledged and not stored.",
        "Correct `value`, or narrow the topic.",
    ),
    "WL-MQT-006": CodeText(
        "payload too large",
        "A payload is larger than 64 KiB.",
        "No meter sends so much.",
        "Narrow the topic.",
    ),
    "WL-MQT-007": CodeText(
        "amount without a time",
        "An amount of energy without a device time is refused.",
        "A repeated message could not be told from a new one.",
        "Send the counter instead, or a time.",
    ),
    "WL-MQT-008": CodeText(
        "template fails",
        "A value template cannot be used or fails on a message.",
        "Templates are small sums, within limits.",
        "Correct the template.",
    ),
    "WL-MQT-009": CodeText(
        "too many devices",
        "One broker announces more than this entry takes.",
        "A changing name would fill the store.",
        "Narrow the topics, or remove old announcements.",
    ),
    "WL-MQT-010": CodeText(
        "no broker of the hub's own",
        "The mqtt entry names the embedded broker and the hub runs none.",
        "It is switched off or could not start.",
        "Set `mqtt_broker.mode`, or write `broker: mqtt://HOST:PORT` for the entry.",
    ),
    "WL-MQT-011": CodeText(
        "broker away",
        "The connection to the MQTT broker was lost or cannot be made.",
        "It is off, elsewhere, or restarts.",
        "The hub tries again; with QoS 1 the broker keeps what is sent meanwhile.",
    ),
    "WL-MQT-012": CodeText(
        "another client has our id",
        "The broker closed the connection because another client signed in with the same client id.",
        "Two clients with one id throw each other out for ever.",
        "Give this hub a client_id of its own.",
    ),
    "WL-MQT-013": CodeText(
        "announcement not readable",
        "A discovery message is not of the form it should be.",
        "It is left out.",
        "Look at what sends it.",
    ),
    "WL-MQT-014": CodeText(
        "announcement wrong",
        "A discovery message lacks something or has it wrong.",
        "It is left out.",
        "Look at what sends it; the detail names the part.",
    ),
    "WL-MQT-015": CodeText(
        "topic refused",
        "The broker refuses a subscription.",
        "Its access list does not allow it.",
        "Allow the topic there, or narrow it here.",
    ),
    "WL-MQT-016": CodeText(
        "messages dropped",
        "Messages of QoS 0 come faster than they can be stored.",
        "QoS 0 has no way to make the sender wait; the newest are dropped and counted.",
        "Publish with QoS 1, then the broker keeps them.",
    ),
    "WL-MQT-017": CodeText(
        "topic not readable", "A topic is not UTF-8.", "It cannot name a device.", "Look at what sends it."
    ),
    "WL-MQT-020": CodeText(
        "broker refuses the credentials",
        "The MQTT broker refuses user name or password.",
        "The hub does not try again by itself: that could lock the account.",
        "Correct username and password of the mqtt entry, then reload.",
    ),
    "WL-MQT-021": CodeText(
        "TLS with the broker fails",
        "Certificates cannot be read, or do not fit.",
        "An unproven broker is not trusted.",
        "Check the port and `tls: {ca: FILE}`.",
    ),
    "WL-MQT-022": CodeText(
        "client id refused",
        "The broker refuses the client id, or another client uses it.",
        "Two clients with one id throw each other out.",
        "Give this hub a client_id of its own.",
    ),
    "WL-MQT-023": CodeText(
        "options contradict each other",
        "Options of the mqtt entry do not go together; the detail says which.",
        "The hub waits for new configuration.",
        "Correct the entry and reload.",
    ),
    "WL-DEM-001": CodeText(
        "clock before the simulated house",
        "The clock stands before the day the simulated house was built.",
        "A house that is not there yet measures nothing.",
        "Set the clock of this machine, or an earlier `since`.",
    ),
    "WL-DEM-002": CodeText(
        "readings of another house",
        "The data directory of the demo holds series of another house.",
        "Invented readings never mix with real ones.",
        "Name an empty directory with --data.",
    ),
    "WL-DEM-003": CodeText(
        "house too young",
        "The simulated house was built after the day at which its past would begin.",
        "Its history begins with it.",
        "Ask for fewer days with --days, or set an earlier `since`.",
    ),
    "WL-DEM-004": CodeText(
        "no simulated house",
        "demo.yaml has no demo integration.",
        "`wattline demo` runs what this file names.",
        "Add `- demo: {}` under `integrations:`.",
    ),
    "WL-NRG-001": CodeText(
        "time zone not known",
        "The zone is none of the IANA database.",
        "Days and months follow it.",
        "A name such as Europe/Paris.",
    ),
    "WL-NRG-002": CodeText(
        "no calendar",
        "There is no calendar of this resolution.",
        "Buckets need beginnings.",
        "1m, 15m, 1h, 1d, 1mo or 1y.",
    ),
    "WL-NRG-003": CodeText(
        "range out of the calendar",
        "The range lies outside 1970 to 2200.",
        "Nothing is measured there.",
        "Ask for another range.",
    ),
    "WL-NRG-004": CodeText(
        "no counter",
        "The series is no register that counts up.",
        "Only what a counter shows is spread between its readings.",
        "Name a counter, such as main-meter.energy_import; GET /api/v1/series tells each kind.",
    ),
    "WL-NRG-005": CodeText(
        "nothing to spread by",
        "There is less than a week of measured energy for a profile, or the device has no power series.",
        "Without them the shape would be a guess.",
        "Stay with `gap: flat` and `shape: none`, and choose again later.",
    ),
    "WL-NRG-010": CodeText(
        "no such part",
        "The figure that is explained has no part at this path.",
        "Parts come and go with readings, prices and corrections; a path is only good for the tree it came from.",
        "Ask for the figure again without `path`, and take the path of a node of that answer.",
    ),
    "WL-NRG-011": CodeText(
        "no amount",
        "The series is a state, such as a temperature or a voltage; it does not add up to anything.",
        "Only energy, volumes, amounts and power are explained by what they are made of.",
        "Name a counter or a power; GET /api/v1/readings has the values of every series.",
    ),
    "WL-NRG-012": CodeText(
        "no such figure",
        "The balance has no figure of this name that can be explained.",
        "The names are those of the energy summary.",
        "Take one of use, import, export, production, charge, discharge, not_measured, other_source, "
        "self_consumption, battery_loss, stock_change and co2.",
    ),
    "WL-NRG-013": CodeText(
        "what to explain",
        "The command was given no series, figure, device or bill, or more than one.",
        "One tree explains one number.",
        "Name a series, or one of `--figure`, `--device` and `--bill`.",
    ),
    "WL-NRG-900": CodeText(
        "bug: nobody answers",
        "A question about energy reached the desk that it does not know.",
        "A part of the hub broke a promise; nothing stored is touched.",
        "Please report it with the log.",
    ),
    "WL-NRG-901": CodeText(
        "bug: parts do not add up",
        "The parts of an explained figure do not make the figure.",
        "A part of the hub broke a promise; nothing stored is touched, and the figure itself is as it was.",
        "Please report it with the log.",
    ),
    "WL-REC-001": CodeText(
        "bug: commit failed",
        "Storing readings failed for a reason that nobody foresaw; nothing of them is acknowledged.",
        "A part of the hub broke a promise; senders that keep what is not acknowledged send it again.",
        "Please report it with the log.",
    ),
    "WL-SHE-001": CodeText(
        "first-generation Shelly",
        "The device is of the first generation.",
        "This integration speaks with Plus, Pro, Gen3 and newer ones.",
        "Connect it by MQTT.",
    ),
    "WL-SHE-002": CodeText(
        "Shelly without a meter",
        "The device measures nothing.",
        "There is nothing to store.",
        "Remove the entry, or choose a model with power metering (PM, EM).",
    ),
    "WL-SHE-003": CodeText(
        "Shelly message not readable",
        "A message of the device could not be read.",
        "It is kept in the quarantine list.",
        "Update the device's firmware; report it if it stays.",
    ),
}
