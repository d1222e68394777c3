// modbus-serial and node-opcua at one PLC: node both.js PORT URL None|Basic256Sha256 FOLDER CERTIFICATE.
// A set-point is written by each protocol and watched by the other. Prints as JSON, for each writer: the value, the scan
// that Modbus showed once the write was acknowledged, and what the other protocol showed from then on: [scan, value].
"use strict";

const ModbusRTU = require("modbus-serial");
const opcua = require("node-opcua-client");
const { browsed, connected, set } = require("./opcua-session");

const LOCAL = "127.0.0.1";
const PATIENCE = 20000;
const SETPOINT = 2;

const number = ({ data }) => data[0] * 65536 + data[1];

async function scanOf(modbus) {
  return number(await modbus.readInputRegisters(0, 2));
}

// The scan is read first, so the value is of that scan or of a later one.
async function byModbus(modbus) {
  const scan = await scanOf(modbus);
  return [scan, (await modbus.readHoldingRegisters(SETPOINT, 2)).buffer.readFloatBE(0)];
}

// Both of one scan.
async function byOpcua(session, nodes) {
  const asked = ["plc.scan", "control.level_setpoint"].map((name) => ({
    nodeId: nodes[name].id,
    attributeId: opcua.AttributeIds.Value,
  }));
  return (await session.read(asked)).map(({ value }) => value.value);
}

// What is shown, until two scans after `acknowledged` have gone by and the value is there.
async function shown(show, value, acknowledged) {
  const seen = [];
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    seen.push(await show());
    const [scan, last] = seen[seen.length - 1];
    if (last === value && scan >= acknowledged + 2) {
      break;
    }
  }
  return { value, acknowledged, seen };
}

async function main(port, url, policy, folder, certificate) {
  const modbus = new ModbusRTU();
  await modbus.connectTCP(LOCAL, { port: Number(port) });
  modbus.setID(1);
  modbus.setTimeout(5000);
  const { session, leave } = await connected(url, policy, folder, certificate);
  const nodes = await browsed(session);

  const status = await set(session, nodes["control.level_setpoint"], opcua.DataType.Float, 0.75);
  const opcuaWrote = { status, ...(await shown(() => byModbus(modbus), 0.75, await scanOf(modbus))) };

  const raw = Buffer.alloc(4);
  raw.writeFloatBE(1.25, 0);
  await modbus.writeRegisters(SETPOINT, raw);
  const modbusWrote = await shown(() => byOpcua(session, nodes), 1.25, await scanOf(modbus));

  await leave();
  modbus.close(() => {});
  console.log(JSON.stringify({ opcuaWrote, modbusWrote }));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
