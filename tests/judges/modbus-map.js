// modbus-serial as a device: node modbus-map.js FILE. The file is JSON, units by number, each with the addresses that it
// has: {"1": {"holding": {"0": 17}, "input": {}, "coil": {}, "discrete": {}, "identity": {"0": "Maker"}, "most": 125,
// "counter": 4}}. most: registers that one read may ask for; counter: input registers counter, counter + 1 hold a number
// that counts tenths of a second, most significant register first; or registers of counter_table, and with
// counter_swapped the least significant one first. The unit "any" stands for each that is not named.
// Prints its port. When its input ends, it prints how many writes came, and ends.
"use strict";

const fs = require("fs");
const { ServerTCP } = require("modbus-serial");

const LOCAL = "127.0.0.1";
const ILLEGAL_FUNCTION = 1;
const ILLEGAL_ADDRESS = 2;
const ILLEGAL_VALUE = 3;
const NOBODY_THERE = 11;

const refusal = (code) => Object.assign(new Error("refused"), { modbusErrorCode: code });

function vectorOf(units, writes) {
  const of = (unit) => {
    const found = units[unit] ?? units.any;
    if (!found) {
      throw refusal(NOBODY_THERE);
    }
    return found;
  };
  const get = (table) => (address, unit) => {
    const value = (of(unit)[table] ?? {})[address];
    if (value === undefined) {
      throw refusal(ILLEGAL_ADDRESS);
    }
    return value;
  };
  const several = (table) => (address, count, unit) => {
    if (count > (of(unit).most ?? 125)) {
      throw refusal(ILLEGAL_VALUE);
    }
    return Array.from({ length: count }, (_, at) => get(table)(address + at, unit));
  };
  const set = (table) => (address, value, unit) => {
    get(table)(address, unit);
    units[unit][table][address] = value;
    writes.count += 1;
  };
  return {
    getCoil: get("coil"),
    getDiscreteInput: get("discrete"),
    getHoldingRegister: get("holding"),
    getInputRegister: get("input"),
    getMultipleHoldingRegisters: several("holding"),
    getMultipleInputRegisters: several("input"),
    setCoil: set("coil"),
    setRegister: set("holding"),
    readDeviceIdentification: (unit) => {
      if (!of(unit).identity) {
        return Promise.reject(refusal(ILLEGAL_FUNCTION));
      }
      return of(unit).identity;
    },
  };
}

function count(units) {
  const begun = Date.now();
  return setInterval(() => {
    for (const unit of Object.values(units)) {
      if (unit.counter !== undefined) {
        const tenths = Math.floor((Date.now() - begun) / 100);
        const words = [(tenths >>> 16) & 0xffff, tenths & 0xffff];
        const table = unit[unit.counter_table ?? "input"];
        [table[unit.counter], table[unit.counter + 1]] = unit.counter_swapped ? words.reverse() : words;
      }
    }
  }, 20);
}

function main(file) {
  const units = JSON.parse(fs.readFileSync(file, "utf-8"));
  const writes = { count: 0 };
  const counting = count(units);
  // As text, since this package takes the number 0 for 502.
  const server = new ServerTCP(vectorOf(units, writes), { host: LOCAL, port: "0", debug: false });
  server.on("initialized", () => console.log(server._server.address().port));
  server.on("socketError", () => {});
  process.stdin
    .on("end", () => {
      clearInterval(counting);
      server.close(() => {});
      console.log(JSON.stringify({ writes: writes.count }));
    })
    .resume();
}

main(process.argv[2]);
