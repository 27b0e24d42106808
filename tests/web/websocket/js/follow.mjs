// Connects with the public browser client and says on stdout what it sees, one JSON object a line.
// Arguments: URL of the hub, token. A line on stdin ends it.
import { createInterface } from "node:readline";
import WebSocket from "ws";
import {
  callService,
  createConnection,
  createLongLivedTokenAuth,
  getConfig,
  getServices,
  getStates,
  getUser,
  subscribeEntities,
} from "home-assistant-js-websocket";

globalThis.WebSocket = WebSocket;

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const [url, token] = process.argv.slice(2);

try {
  const connection = await createConnection({
    auth: createLongLivedTokenAuth(url, token),
    setupRetry: 0,
  });
  connection.addEventListener("disconnected", () => say({ event: "disconnected" }));
  connection.addEventListener("reconnect-error", (_, error) => {
    say({ event: "reconnect-error", error });
    process.exit(0);
  });
  const [config, services, user, states] = await Promise.all([
    getConfig(connection),
    getServices(connection),
    getUser(connection),
    getStates(connection),
  ]);
  await connection.ping();
  const refused = await callService(connection, "light", "turn_on").catch((error) => error.code);
  say({
    version: connection.haVersion,
    place: config.location_name,
    services,
    user: user.name,
    states: states.map((one) => one.entity_id),
    refused,
  });
  subscribeEntities(connection, (entities) =>
    say({
      entities: Object.fromEntries(
        Object.values(entities).map((one) => [
          one.entity_id,
          { state: one.state, name: one.attributes.friendly_name, updated: Date.parse(one.last_updated) },
        ]),
      ),
    }),
  );
  createInterface({ input: process.stdin }).once("line", () => {
    connection.close();
    process.exit(0);
  });
} catch (error) {
  say({ error });
  process.exit(0);
}
