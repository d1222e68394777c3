// modbus-serial against a Modbus/TCP server: node modbus-serial.js PORT read|write|refused|watch. Prints what it saw as JSON.
"use strict";

const ModbusRTU = require("modbus-serial");

const LOCAL = "127.0.0.1";

async function read(client) {
  const seen = {
    coils: (await client.readCoils(0, 2)).data.slice(0, 2),
    discrete: (await client.readDiscreteInputs(0, 7)).data.slice(0, 7),
    holding: (await client.readHoldingRegisters(0, 15)).data,
    input: (await client.readInputRegisters(0, 20)).data,
  };
  const ten = await Promise.all(Array.from({ length: 10 }, (_, at) => client.readInputRegisters(at, 10)));
  seen.ten = ten.map((answer) => answer.data);
  const held = await Promise.all(Array.from({ length: 10 }, (_, at) => client.readHoldingRegisters(at, 3)));
  seen.held = held.map((answer) => answer.data);
  const identity = await client.readDeviceIdentification(2, 0);
  seen.identity = Object.values(identity.data);
  return seen;
}

async function write(client) {
  const registers = Buffer.alloc(8);
  registers.writeFloatBE(1.5, 0);
  registers.writeFloatBE(50, 4);
  return {
    coil: await client.writeCoil(0, true),
    coils: await client.writeCoils(0, [false, true]),
    register: await client.writeRegister(0, 1),
    registers: await client.writeRegisters(2, registers),
    mask: await client.maskWriteRegister(0, 0xfffc, 0x0002),
    exchanged: (await client.readWriteRegisters(6, 2, 6, 2, [0x4204, 0x0000])).data,
  };
}

async function refused(client) {
  const code = async (request) => {
    try {
      await request;
    } catch (error) {
      return error.modbusCode ?? String(error);
    }
    return "answered";
  };
  const seen = {
    function: await code(client.customFunction(0x55, [0, 0])),
    address: await code(client.readHoldingRegisters(100, 1)),
    none: await code(client.readHoldingRegisters(0, 0)),
    many: await code(client.readHoldingRegisters(0, 126)),
    value: await code(client.writeRegister(0, 9)),
  };
  client.setID(9);
  seen.unit = await code(client.readHoldingRegisters(0, 1));
  return seen;
}

// The input registers of every scan that it meets, by its number, until its own input ends.
async function watch(client) {
  let watching = true;
  process.stdin.on("end", () => (watching = false)).resume();
  console.log("watching");
  const scans = {};
  while (watching) {
    const { data } = await client.readInputRegisters(0, 20);
    scans[data[0] * 65536 + data[1]] = data;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return scans;
}

async function main(port, what) {
  const client = new ModbusRTU();
  await client.connectTCP(LOCAL, { port: Number(port) });
  client.setID(1);
  client.setTimeout(5000);
  console.log(JSON.stringify(await { read, write, refused, watch }[what](client)));
  client.close(() => {});
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
