// jsmodbus against a Modbus/TCP server: node jsmodbus.js PORT read|write|refused. Prints what it saw as JSON.
"use strict";

const net = require("net");
const modbus = require("jsmodbus");

const LOCAL = "127.0.0.1";

const body = async (request) => (await request).response.body;
const bits = async (request, count) => (await body(request)).valuesAsArray.slice(0, count).map(Boolean);
const registers = async (request) => Array.from((await body(request)).valuesAsArray);

async function read(client) {
  const ten = Array.from({ length: 10 }, (_, at) => registers(client.readInputRegisters(at, 10)));
  return {
    coils: await bits(client.readCoils(0, 2), 2),
    discrete: await bits(client.readDiscreteInputs(0, 7), 7),
    holding: await registers(client.readHoldingRegisters(0, 15)),
    input: await registers(client.readInputRegisters(0, 20)),
    ten: await Promise.all(ten),
    held: await Promise.all(Array.from({ length: 10 }, (_, at) => registers(client.readHoldingRegisters(at, 3)))),
  };
}

async function write(client) {
  const floats = Buffer.alloc(8);
  floats.writeFloatBE(1.5, 0);
  floats.writeFloatBE(50, 4);
  const coil = await body(client.writeSingleCoil(0, true));
  const coils = await body(client.writeMultipleCoils(0, [false, true]));
  const register = await body(client.writeSingleRegister(0, 1));
  const several = await body(client.writeMultipleRegisters(2, floats));
  return {
    // The value of the echo is left out: jsmodbus shows every echo of a coil as off.
    coil: { address: coil.address },
    coils: { address: coils.start, length: coils.quantity },
    register: { address: register.address, value: register.value },
    registers: { address: several.start, length: several.quantity },
  };
}

async function refused(client, other) {
  const code = async (request) => {
    try {
      await request;
    } catch (error) {
      return error.response ? error.response.body.code : String(error.message || error.err);
    }
    return "answered";
  };
  return {
    address: await code(client.readHoldingRegisters(100, 1)),
    none: await code(client.readHoldingRegisters(0, 0)),
    many: await code(client.readHoldingRegisters(0, 126)),
    value: await code(client.writeSingleRegister(0, 9)),
    unit: await code(other.readHoldingRegisters(0, 1)),
  };
}

const connected = (port, unit) =>
  new Promise((resolve, reject) => {
    const socket = new net.Socket();
    const client = new modbus.client.TCP(socket, unit, 5000);
    socket.on("error", reject);
    socket.connect({ host: LOCAL, port }, () => resolve([client, socket]));
  });

async function main(port, what) {
  const [client, socket] = await connected(Number(port), 1);
  const [other, second] = await connected(Number(port), 9);
  console.log(JSON.stringify(await { read, write, refused }[what](client, other)));
  socket.end();
  second.end();
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
