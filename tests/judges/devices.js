// Modbus devices by other authors, for our drivers: node devices.js modbus-serial|jsmodbus|jsmodbus-rtu PORT|PATH
// Unit 1 with 100 addresses a table. modbus-serial's refuses the holding registers 50..59; jsmodbus's has no refusals.
// Prints its port, or its path, then obeys lines and answers each with one: normal, slow MS, refuse CODE, silent,
// garbage, drop (all connections), stop, start, held (prints what it holds as JSON). It ends when its input does.
"use strict";

const { EventEmitter } = require("events");
const fs = require("fs");
const net = require("net");
const readline = require("readline");
const tty = require("tty");
const modbus = require("jsmodbus");

const LOCAL = "127.0.0.1";
const COUNT = 100;
const HEADER = 7;
const all = Array.from({ length: COUNT }, (_, at) => at);
const input = all.map((at) => at * 5);
const holding = all.map((at) => at * 3);
const coils = all.map((at) => at % 3 === 0);
const discrete = all.map((at) => at % 2 === 0);

let fault = ["normal"];
const sockets = new Set();

// What becomes of an answer on its way out.
function answered(write, response) {
  const [how, what] = fault;
  if (how === "slow") {
    setTimeout(() => write(response), Number(what));
  } else if (how === "refuse") {
    const header = Buffer.from(response.slice(0, HEADER));
    header.writeUInt16BE(3, 4);
    write(Buffer.concat([header, Buffer.from([response[HEADER] | 0x80, Number(what)])]));
  } else if (how === "garbage") {
    write(Buffer.from("what is this?\r\n".repeat(3)));
  } else if (how !== "silent") {
    write(response);
  }
}

function kept(socket) {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
  socket.on("error", () => socket.destroy());
}

function modbusSerial(port) {
  const ServerTCP = require("modbus-serial/servers/servertcp.js");
  const known = (at, table) => {
    if (at >= COUNT || (table === holding && at >= 50 && at < 60)) {
      throw Object.assign(new Error("no such address"), { modbusErrorCode: 2 });
    }
    return table;
  };
  const vector = {
    getCoil: (at) => known(at, coils)[at],
    getDiscreteInput: (at) => known(at, discrete)[at],
    getHoldingRegister: (at) => known(at, holding)[at],
    getInputRegister: (at) => known(at, input)[at],
    setCoil: (at, value) => {
      known(at, coils)[at] = Boolean(value);
    },
    setRegister: (at, value) => {
      known(at, holding)[at] = value;
    },
    readDeviceIdentification: () => ({ 0: "modbus-serial", 1: "judge", 2: "8" }),
  };
  const server = new ServerTCP(vector, { host: LOCAL, port, unitID: 1 });
  server.on("socketError", () => {});
  server._server.on("connection", (socket) => {
    kept(socket);
    const write = socket.write.bind(socket);
    socket.write = (response) => answered(write, response);
  });
  return server._server;
}

const buffers = { holding: Buffer.alloc(2 * COUNT), input: Buffer.alloc(2 * COUNT) };
all.forEach((at) => buffers.holding.writeUInt16BE(holding[at], 2 * at));
all.forEach((at) => buffers.input.writeUInt16BE(input[at], 2 * at));
const packed = (bits) => {
  const bytes = Buffer.alloc(Math.ceil(COUNT / 8));
  bits.forEach((bit, at) => (bytes[at >> 3] |= Number(bit) << (at & 7)));
  return bytes;
};
Object.assign(buffers, { coils: packed(coils), discrete: packed(discrete) });

function jsmodbus(port) {
  const listening = net.createServer();
  const front = new EventEmitter();
  new modbus.server.TCP(front, buffers);
  listening.on("connection", (socket) => {
    kept(socket);
    const write = (response) => answered((data) => socket.write(data), response);
    front.emit("connection", { on: (event, then) => socket.on(event, then), write });
  });
  listening.listen(port, LOCAL);
  return listening;
}

function jsmodbusRtu(path) {
  const descriptor = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NOCTTY);
  const line = new tty.ReadStream(descriptor);
  line.setRawMode(true);
  const write = (response) => answered((data) => fs.writeSync(descriptor, data), response);
  new modbus.server.RTU({ on: (event, then) => line.on(event, then), write }, buffers);
}

function held(kind) {
  if (kind === "modbus-serial") {
    return { holding, coils };
  }
  return {
    holding: all.map((at) => buffers.holding.readUInt16BE(2 * at)),
    coils: all.map((at) => Boolean((buffers.coils[at >> 3] >> (at & 7)) & 1)),
  };
}

const freePort = () =>
  new Promise((resolve) => {
    const probe = net.createServer().listen(0, LOCAL, () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });

async function main(kind, place) {
  const serve = { "modbus-serial": modbusSerial, jsmodbus, "jsmodbus-rtu": jsmodbusRtu }[kind];
  const overTcp = kind !== "jsmodbus-rtu";
  // modbus-serial takes port 0 for 502.
  const where = overTcp ? Number(place) || (await freePort()) : place;
  let server = null;
  const start = () =>
    new Promise((resolve) => {
      server = serve(where);
      overTcp ? server.once("listening", resolve) : resolve();
    });
  const dropped = () => sockets.forEach((socket) => socket.destroy());
  const stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      dropped();
    });
  await start();
  console.log(where);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [what] = line.split(" ");
    if (what === "drop") {
      dropped();
    } else if (what === "stop") {
      await stop();
    } else if (what === "start") {
      await start();
    } else if (what !== "held") {
      fault = line.split(" ");
    }
    console.log(what === "held" ? JSON.stringify(held(kind)) : "done");
  }
  process.exit(0);
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
