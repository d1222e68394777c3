// node-opcua-client against an OPC UA server: node node-opcua.js URL None|Basic256Sha256 FOLDER [CERTIFICATE].
// FOLDER is for its own key and trust list; CERTIFICATE, DER, is the one server that it trusts, without one: none.
// Prints what it saw as JSON.
"use strict";

const opcua = require("node-opcua-client");
const { browsed, connected, set } = require("./opcua-session");

const { AttributeIds, DataType, MessageSecurityMode } = opcua;
const PATIENCE = 5000;

const soon = (promise, what) =>
  Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`no ${what}`)), PATIENCE).unref()),
  ]);

async function read(session, nodes) {
  const names = Object.keys(nodes).filter((name) => nodes[name].kind === "Variable" && nodes[name].own);
  const values = await session.read(names.map((name) => ({ nodeId: nodes[name].id, attributeId: AttributeIds.Value })));
  const shown = values.map(({ value, statusCode, sourceTimestamp }) => [
    statusCode.name,
    DataType[value.dataType],
    value.value,
    sourceTimestamp instanceof Date,
  ]);
  return Object.fromEntries(names.map((name, at) => [name, shown[at]]));
}

async function write(session, nodes) {
  const one = (name, dataType, value) => set(session, nodes[name], dataType, value);
  return {
    good: await one("control.level_setpoint", DataType.Float, 1.5),
    range: await one("control.level_setpoint", DataType.Float, 9),
    type: await one("control.level_setpoint", DataType.Double, 1.5),
    fixed: await one("tank1.level", DataType.Float, 1),
  };
}

async function call(session, nodes, name) {
  const request = { objectId: nodes.plc.id, methodId: nodes[`plc.${name}`].id, inputArguments: [] };
  return (await session.call(request)).statusCode.name;
}

// Starts to monitor; what comes back holds a promise of the first `count` notifications.
async function monitored(subscription, item, more, count) {
  const parameters = { samplingInterval: 0, queueSize: 100, discardOldest: true, ...more };
  const started = await subscription.monitor(item, parameters, opcua.TimestampsToReturn.Both);
  const seen = [];
  const all = new Promise((resolve) => {
    started.on("changed", (data) => {
      seen.push(data);
      if (seen.length === count) {
        resolve(seen);
      }
    });
  });
  return { all: soon(all, `${count} notifications`) };
}

// The scan counter as it goes on, and the alarm that comes of an emergency stop.
async function subscribe(session, nodes) {
  const subscription = await session.createSubscription2({
    requestedPublishingInterval: 20,
    requestedLifetimeCount: 1000,
    requestedMaxKeepAliveCount: 50,
    maxNotificationsPerPublish: 0,
    publishingEnabled: true,
  });
  const counter = { nodeId: nodes["plc.scan"].id, attributeId: AttributeIds.Value };
  const counts = await (await monitored(subscription, counter, {}, 4)).all;
  const server = { nodeId: opcua.resolveNodeId("Server"), attributeId: AttributeIds.EventNotifier };
  const filter = opcua.constructEventFilter(["SourceName", "Severity", "Message"]);
  const alarms = await monitored(subscription, server, { filter }, 1);
  await set(session, nodes["estop.pressed"], DataType.Boolean, true);
  const [[source, severity, message]] = await alarms.all;
  await subscription.terminate();
  return { counts: counts.map(({ value }) => value.value), alarm: [source.value, severity.value, message.value.text] };
}

async function main(url, policy, folder, certificate) {
  const { client, session, leave } = await connected(url, policy, folder, certificate);
  const endpoints = (await client.getEndpoints()).map(({ securityMode, securityPolicyUri }) => [
    MessageSecurityMode[securityMode],
    securityPolicyUri.split("#")[1],
  ]);
  const nodes = await browsed(session);
  const seen = {
    endpoints,
    nodes: Object.fromEntries(Object.entries(nodes).map(([name, { kind, type }]) => [name, [kind, type]])),
    values: await read(session, nodes),
    written: await write(session, nodes),
    called: await call(session, nodes, "start"),
    heard: await subscribe(session, nodes),
  };
  await leave();
  console.log(JSON.stringify(seen));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
