// A session of node-opcua-client with an OPC UA server, for the judges beside this file.
"use strict";

const fs = require("fs");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const opcua = require("node-opcua-client");

const { AttributeIds, MessageSecurityMode, NodeClass, SecurityPolicy } = opcua;
const NAMESPACE = "urn:attestbed:cell";

// policy: None or Basic256Sha256; folder: for its own key and trust list; certificate, DER: the one server that it
// trusts, without one: none.
async function connected(url, policy, folder, certificate) {
  const list = { rootFolder: folder, automaticallyAcceptUnknownCertificate: false };
  const trusted = new OPCUACertificateManager(list);
  await trusted.initialize();
  if (certificate !== undefined) {
    await trusted.trustCertificate(fs.readFileSync(certificate));
  }
  const client = opcua.OPCUAClient.create({
    applicationName: "judge",
    securityPolicy: SecurityPolicy[policy],
    securityMode: policy === "None" ? MessageSecurityMode.None : MessageSecurityMode.SignAndEncrypt,
    clientCertificateManager: trusted,
    connectionStrategy: { maxRetry: 0 },
    endpointMustExist: true,
  });
  await client.connect(url);
  const session = await client.createSession();
  const leave = async () => {
    await session.close();
    await client.disconnect();
    await trusted.dispose();
  };
  return { client, session, leave };
}

// Every node of the namespace, from the Objects folder down, by its path of browse names.
async function browsed(session) {
  const index = (await session.readNamespaceArray()).indexOf(NAMESPACE);
  const found = {};
  const below = async (nodeId, path) => {
    const referenceTypeId = "HierarchicalReferences";
    const asked = { nodeId, referenceTypeId, includeSubtypes: true, nodeClassMask: 0, resultMask: 63 };
    const { references } = await session.browse(asked);
    for (const reference of references ?? []) {
      const { name, namespaceIndex } = reference.browseName;
      const type = String(reference.typeDefinition);
      const key = [...path, name].join(".");
      if (reference.nodeId.namespace !== index || key in found) {
        continue;
      }
      found[key] = { id: reference.nodeId, kind: NodeClass[reference.nodeClass], type, own: namespaceIndex === index };
      await below(reference.nodeId, [...path, name]);
    }
  };
  await below(opcua.resolveNodeId("ObjectsFolder"), []);
  return found;
}

async function set(session, { id: nodeId }, dataType, value) {
  const attributeId = AttributeIds.Value;
  return (await session.write({ nodeId, attributeId, value: { value: { dataType, value } } })).name;
}

module.exports = { browsed, connected, set };
