// A device by node-opcua: node opcua-device.js OPTIONS, which is JSON: port (0: any), folder (for its key and trust
// list), trusted (DER files of clients and of persons), password (of the user "bench"), most (nodes in one Read).
// Prints a line of JSON once it listens, and obeys lines on its input: {"set": {name: value}}, {"bad": name} and
// {"slow": ms}, each answered by a line. It ends when its input does.
"use strict";

const fs = require("fs");
const readline = require("readline");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const { DataType, MessageSecurityMode, SecurityPolicy, StatusCodes, Variant } = require("node-opcua-client");
const { nodesets } = require("node-opcua-nodesets");
const { OPCUAServer } = require("node-opcua-server");

const NAMESPACE = "urn:judge:device";
// Name, identifier in its namespace, type, first value, whether it can be written.
const NODES = [
  ["scan", "i=1001", "UInt32", 1],
  ["boot", "i=1002", "UInt32", 7],
  ["level", "s=Tank.Level; of one", "Float", 1.5],
  ["flag", "b=AQIDBA==", "Boolean", true],
  ["word", "g=72962b91-fa75-4ae6-8d28-b404dc7daf63", "UInt16", 65535],
  ["short", "s=short", "Int16", -2, "CurrentRead | CurrentWrite"],
  ["set", "s=set", "Float", 0.25, "CurrentRead | CurrentWrite"],
  ["on", "s=on", "Boolean", false, "CurrentRead | CurrentWrite"],
  ["count", "s=count", "UInt32", 4294967295, "CurrentRead | CurrentWrite"],
  ["long", "s=long", "Int32", -2147483648, "CurrentRead | CurrentWrite"],
  ["wide", "s=wide", "Double", Math.PI, "CurrentRead | CurrentWrite"],
];

async function certificates(folder, trusted) {
  const list = new OPCUACertificateManager({ rootFolder: folder, automaticallyAcceptUnknownCertificate: false });
  await list.initialize();
  for (const file of trusted) {
    await list.trustCertificate(fs.readFileSync(file));
  }
  return list;
}

async function main({ port, folder, trusted, password, most }) {
  const server = new OPCUAServer({
    port,
    hostname: "127.0.0.1",
    resourcePath: "/device",
    nodeset_filename: [nodesets.standard],
    serverCertificateManager: await certificates(`${folder}/applications`, trusted),
    userCertificateManager: await certificates(`${folder}/persons`, trusted),
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    securityPolicies: [
      SecurityPolicy.None,
      SecurityPolicy.Basic256Sha256,
      SecurityPolicy.Aes128_Sha256_RsaOaep,
      SecurityPolicy.Aes256_Sha256_RsaPss,
    ],
    allowAnonymous: true,
    userManager: { isValidUser: (user, said) => user === "bench" && said === password },
    buildInfo: { manufacturerName: "Judge", productName: "Device", softwareVersion: "2.5", buildNumber: "77" },
    serverCapabilities: { operationLimits: { maxNodesPerRead: most } },
  });
  await server.initialize();
  const namespace = server.engine.addressSpace.registerNamespace(NAMESPACE);
  const values = {};
  const nodes = {};
  let slow = 0;
  for (const [name, identifier, type, value, accessLevel = "CurrentRead"] of NODES) {
    values[name] = new Variant({ dataType: DataType[type], value });
    nodes[name] = namespace.addVariable({
      browseName: name,
      nodeId: `ns=${namespace.index};${identifier}`,
      organizedBy: server.engine.addressSpace.rootFolder.objects,
      dataType: type,
      accessLevel,
      userAccessLevel: accessLevel,
    });
    nodes[name].setValueFromSource(values[name]);
  }
  // A value that has to be fetched from somewhere.
  namespace.addVariable({
    browseName: "fetched",
    nodeId: `ns=${namespace.index};s=fetched`,
    organizedBy: server.engine.addressSpace.rootFolder.objects,
    dataType: "Float",
    value: {
      refreshFunc: (done) =>
        setTimeout(() => done(null, { value: { dataType: DataType.Float, value: 8.5 }, sourceTimestamp: new Date() }), slow),
    },
  });
  await server.start();
  const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  say({ port: server.endpoints[0].port, certificate: server.getCertificate().toString("hex") });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    for (const [name, value] of Object.entries(asked.set ?? {})) {
      nodes[name].setValueFromSource(new Variant({ dataType: values[name].dataType, value }));
    }
    if (asked.bad !== undefined) {
      nodes[asked.bad].setValueFromSource(values[asked.bad], StatusCodes.BadSensorFailure);
    }
    slow = asked.slow ?? slow;
    say({ done: Object.keys(asked) });
  }
  await server.shutdown();
  process.exit(0);
}

main(JSON.parse(process.argv[2])).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
